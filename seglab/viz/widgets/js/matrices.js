/* The IoU table and the confusion matrix of a board: each cell is a button that chooses it. */

import { h } from "./dom.js";
import { roving } from "./roving.js";

const FEW = 7; // columns that have room for names from left to right

/** A name that may be broken after its separators. */
const breakable = (name) => name.split(/(?<=[_:/. -])/).flatMap((part, i) => (i ? [h("wbr"), part] : [part]));

/** A background from white (0) to blue (1), and a legible text colour. */
function shade(fraction) {
  const mix = (from, to) => Math.round(from + (to - from) * fraction);
  return `background: rgb(${mix(246, 24)}, ${mix(248, 78)}, ${mix(251, 132)}); color: ${fraction > 0.55 ? "#fff" : "#1f2933"}`;
}

/** A table of buttons, which are one stop of the Tab key. `cell(row, column)` → [text, label, fraction, is chosen, choice] */
function tableOf(rows, columns, cell, choose, what) {
  const cells = rows.map((_, r) => columns.map((_, c) => {
    const found = cell(r, c);
    if (!found) return h("td", {}, "–");
    const [text, label, fraction, chosen, choice] = found;
    return h("td", {}, h("button", { type: "button", style: shade(fraction), "aria-pressed": String(chosen),
      "aria-label": label, onclick: () => choose(choice) }, text));
  }));
  const buttons = cells.map((row) => row.map((cell) => cell.querySelector("button")));
  roving(buttons, buttons.flat().find((button) => button?.getAttribute("aria-pressed") === "true"));
  const few = columns.length <= FEW;
  const head = columns.map((name) => h("th", { class: few ? "" : "up", scope: "col" }, h("span", {}, ...breakable(name))));
  return h("table", { "aria-label": what, class: few ? "few" : "" }, h("thead", {}, h("tr", {}, h("td"), ...head)),
    h("tbody", {}, ...rows.map((name, r) => h("tr", {}, h("th", { scope: "row" }, name), ...cells[r]))));
}

/** IoU of each class and model. */
export function iouTable({ models, classes, iou }, chosen, choose) {
  const cell = (k, m) => {
    const value = iou[models[m]][k];
    return value === null ? null : [value.toFixed(2), `${classes[k]} of ${models[m]}, IoU ${value.toFixed(2)}`, value,
      chosen.model === m && chosen.target === k && chosen.pred === null, { model: m, target: k, pred: null }];
  };
  return [h("p", { class: "hint" }, "IoU of each class: a click shows the images with errors in it."),
    tableOf(classes, models, cell, choose, "IoU of each class and model")];
}

/** The confusion matrix of the chosen model, in percent of each row. */
export function confusionTable({ models, classes, columns, confusion }, chosen, choose) {
  const pick = h("select", { "aria-label": "model of the confusion matrix",
    onchange: (event) => choose({ model: Number(event.target.value) }) },
    ...models.map((name, m) => h("option", { value: m }, name)));
  pick.value = chosen.model;
  const cell = (t, p) => {
    const fraction = confusion[models[chosen.model]][t][p];
    const text = fraction === null ? "" : fraction >= 0.005 ? String(Math.round(100 * fraction)) : fraction > 0 ? "·" : "";
    return [text || "\u00a0", `${classes[t]} predicted as ${columns[p]}, ${(100 * (fraction ?? 0)).toFixed(1)} %`,
      fraction ?? 0, chosen.target === t && chosen.pred === p, { target: t, pred: p }];
  };
  return [h("p", { class: "hint" }, "% of a class (row) that ", pick, " predicts as (column): a click shows the images."),
    tableOf(classes, columns, cell, choose, "confusion matrix")];
}
