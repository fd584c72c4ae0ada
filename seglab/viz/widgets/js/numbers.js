/* The numbers of an image by which a board sorts, filters and places points: what each is called, and its values.
 *
 * A number is named by an array: its kind, then the indices that it needs, as ["iou", model, class].
 */

import { percent } from "./dom.js";

const decimals = (value) => value.toFixed(2), whole = (value) => value.toLocaleString("en");
const COUNTED = { TP: "right pixels (TP)", FP: "false pixels (FP)", FN: "missed pixels (FN)" };

/** What a cell of a confusion matrix stands for; with p null, all errors of class t. */
export function questionOf({ models, classes, columns }, m, t, p) {
  if (p === null) return `errors of ${models[m]} in ${classes[t]}`;
  if (columns[p] === classes[t]) return `pixels of ${classes[t]} that ${models[m]} predicts correctly`;
  return `pixels of ${classes[t]} that ${models[m]} predicts as ${columns[p]}`;
}

/** { key, label, values, format } of a number; `values` has a number for each image, NaN where there is none. */
export function numberOf(counts, [kind, ...at]) {
  const { models, classes } = counts.data;
  const [m, t, p] = at;
  const kinds = {
    pixels: () => [questionOf(counts.data, m, t, p), counts.pixels(m, t, p), whole],
    iou: () => [`IoU of ${classes[t]}, ${models[m]}`, counts.iou(m, t), decimals],
    miou: () => [`mIoU, ${models[m]}`, counts.miou(m), decimals],
    share: () => [`size of ${classes[m]}`, counts.share(m), percent],
    confidence: () => [`confidence of ${models[m]}`, counts.confidence(m), decimals],
    disagreement: () => ["disagreement", counts.disagreement(), decimals],
    outcome: () => [`${COUNTED[p]} of ${classes[t]}, ${models[m]}`, counts.outcome(m, t, p), whole],
  };
  const [label, values, format] = kinds[kind]();
  return { key: [kind, ...at].join(" "), label, values, format };
}

/** The columns of the table for a chosen cell: [heading, explanation, number] each. */
export function columnsOf({ model: m, target: t, pred: p }, { models, classes, confidence }) {
  const all = [
    ["pixels", "pixels of the chosen cell", ["pixels", m, t, p]],
    ["IoU", `IoU of ${classes[t]}, predicted by ${models[m]}`, ["iou", m, t]],
    ["mIoU", `mean IoU over the classes of the image, predicted by ${models[m]}`, ["miou", m]],
    ["size", `fraction of the labelled pixels that are ${classes[t]}`, ["share", t]],
    ["confi\u00addence", `mean confidence of ${models[m]}`, ["confidence", m]],
    ["disagree\u00adment", "highest minus lowest mIoU of the models", ["disagreement"]],
  ];
  const known = { confidence: confidence[m], disagreement: models.length > 1 };
  return all.filter(([, , [kind]]) => kind in known ? known[kind] : true);
}

/** All numbers that can be placed on an axis or filtered by, for a chosen class and model. */
export function allNumbers({ model: m, target: t, pred: p }, { models, confidence }) {
  const of = (kind) => models.map((_, index) => [kind, index]);
  return [
    ...of("miou"), ...models.map((_, index) => ["iou", index, t]), ["share", t], ["pixels", m, t, p],
    ...Object.keys(COUNTED).map((which) => ["outcome", m, t, which]),
    ...of("confidence").filter(([, index]) => confidence[index]), ...(models.length > 1 ? [["disagreement"]] : []),
  ];
}

/** Least and largest of values that are no NaN; [0, 1] without any. */
export function rangeOf(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 1];
}

/** How many values lie in each of so many bins of equal width between low and high; the last one includes high. */
export function binned(values, low, high, bins) {
  const counts = new Uint32Array(bins), width = (high - low) / bins || 1;
  for (const value of values) {
    if (!Number.isNaN(value)) counts[Math.min(bins - 1, Math.max(0, Math.floor((value - low) / width)))]++;
  }
  return counts;
}
