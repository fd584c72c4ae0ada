/* A board in a static page: the counts, thumbnails and some images with all label maps are part of the page. */

import { Board } from "./board.js";
import { Counts } from "./counts.js";
import { h } from "./dom.js";
import { largestRegion } from "./regions.js";
import { Viewer } from "./viewer.js";

const MORE = "The option --inside of seglab report adds images.";
const KEPT = ["swipe", "side", "flicker", "outcome"]; // modes that a choice keeps

/** What a viewer shows of a cell: the model left, the target right, its classes alone, and the largest region of its
 * pixels, or else of the target's class. As `Comparison` does in a notebook. */
export function stateOf({ classes, columns }, { model, target, pred }, scene, labels) {
  const names = scene.classes.map(({ name }) => name), { evaluated, width, height } = scene;
  const t = names.indexOf(classes[target]), p = pred === null ? null : names.indexOf(columns[pred]); // -1: "other"
  const truth = labels[scene.target], found = labels[model];
  const cell = p === null ? (i) => evaluated[truth[i]] && (truth[i] === t) !== (found[i] === t)
    : (i) => truth[i] === t && (p < 0 ? !evaluated[found[i]] : found[i] === p);
  const region = largestRegion(cell, width, height) ?? largestRegion((i) => truth[i] === t, width, height);
  const hidden = [...names.keys()].filter((k) => k !== t && k !== p);
  return { left: model, right: scene.target, focus: t, hidden, region,
    ...(region ? { swipe: (region[0] + region[2]) / 2 / width } : {}) };
}

/** Fill an element with a board and a viewer. `texts`: index → the text of a scene, which is read when it is shown. */
export async function mountBoard(place, data, texts) {
  const beside = h("div", { class: "right" }), main = h("div", { class: "left" });
  const note = h("p", { class: "absent" }), stage = h("div");
  let viewer = null, board = null;
  beside.append(note, stage);
  place.classList.add("seglab-linked");
  place.replaceChildren(main, beside);
  const show = async (index, choice) => {
    stage.hidden = !texts.has(index);
    note.textContent = stage.hidden ? `This page does not hold the image “${data.images[index]}”. ${MORE}` : "";
    if (stage.hidden) return;
    const scene = JSON.parse(texts.get(index));
    const before = viewer?.state ?? { mode: "swipe" };
    viewer?.close();
    const next = (viewer = stage.viewer = new Viewer(stage, scene, before));
    await next.ready;
    if (next !== viewer) return;
    const { left, right, hidden, ...where } = stateOf(data, board.chosen, scene, next.layers.labels);
    const mode = KEPT.includes(next.state.mode) ? next.state.mode : "swipe";
    next.set(choice ? { mode, left, right, hidden, ...where } : where);
  };
  const host = {
    chosen: (_, index) => index !== null && show(index, true),
    show: (index) => show(index, false),
    selected: (rows) => (place.selected = rows),
  };
  board = place.board = new Board(main, await Counts.open(data), { model: 0, target: hardest(data), pred: null }, host);
  if (board.rows.length) {
    board.follow(board.chosen, board.rows[0]);
    await show(board.rows[0], true);
  }
}

/** The class with the lowest IoU of the first model. */
function hardest({ models, iou }) {
  const values = iou[models[0]].map((value) => value ?? Infinity);
  return values.indexOf(Math.min(...values));
}
