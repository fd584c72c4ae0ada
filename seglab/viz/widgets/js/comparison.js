/* Linked views of a comparison: an IoU table, a confusion matrix, a scatter of images. A click sets `chosen`; the kernel
 * answers with `found`, the images where it happens, and shows the image `shown`.
 *
 * tables = {
 *   models, classes,                names; the last column of a confusion matrix may be "other"
 *   columns,                        names of the columns of confusion matrices
 *   iou: { model: [of each class] },
 *   confusion: { model: [[fraction of the target's pixels]] },
 *   images: [ids], miou: { model: [of each image] },
 * }
 * chosen = { model, target, pred }  indices into models, classes and columns; pred is null for all errors of a class
 * found = [{ id, pixels }]
 */

import { h, rootOf } from "./dom.js";
import { roving } from "./roving.js";

const STYLE = `
.seglab-board { font: 13px/1.4 system-ui, "Segoe UI", sans-serif; display: flex; flex-wrap: wrap; gap: 1rem 2rem;
  align-items: flex-start; }
.seglab-board section { max-width: 100%; overflow-x: auto; }
.seglab-board h4 { margin: 0 0 .35rem; font-size: 13px; font-weight: 600; }
.seglab-board table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.seglab-board th { font-weight: 400; color: var(--soft); padding: .1rem .4rem; text-align: left; white-space: nowrap; }
.seglab-board thead th { vertical-align: bottom; }
.seglab-board thead th.up span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 11rem; line-height: 1.15;
  white-space: normal; overflow-wrap: anywhere; }
.seglab-board td { padding: 1px; background: none; }
.seglab-board td button { width: 100%; min-width: 2.3rem; border: 0; border-radius: 2px; padding: .15rem .25rem;
  forced-color-adjust: none; }
.seglab-board button[aria-pressed=true] { box-shadow: 0 0 0 2px var(--accent); position: relative; }
.seglab-board .found { flex: 1 1 12rem; }
.seglab-board .found ul { list-style: none; margin: .3rem 0; padding: 0; display: flex; flex-wrap: wrap; gap: .3rem;
  max-height: 11rem; overflow: auto; }
.seglab-board svg { display: block; }
.seglab-board svg text { fill: var(--soft); font-size: 11px; }
.seglab-board svg line { stroke: var(--line); }
.seglab-board circle { fill: var(--accent); fill-opacity: .55; cursor: pointer; }
.seglab-board circle[aria-pressed=true] { fill: #d1495b; fill-opacity: 1; }
`;
const SIDE = 250, LEFT = 38, FOOT = 34; // of the scatter, in pixels

/** A background from white (0) to blue (1), and a legible text colour. */
function shade(fraction) {
  const mix = (from, to) => Math.round(from + (to - from) * fraction);
  return `background: rgb(${mix(246, 24)}, ${mix(248, 78)}, ${mix(251, 132)}); color: ${fraction > 0.55 ? "#fff" : "#1f2933"}`;
}

const pressed = (element) => element.getAttribute("aria-pressed") === "true";

/** Make one stop of the Tab key of the buttons in the cells of a table. */
function reachable(cells) {
  const buttons = cells.map((row) => row.map((cell) => cell.querySelector("button")));
  roving(buttons, buttons.flat().find((button) => button && pressed(button)));
}

class Board {
  constructor(element, model) {
    this.element = element;
    this.model = model;
    this.axes = [0, Math.min(1, model.get("tables").models.length - 1)];
    this.draw();
  }

  choose(change) {
    this.model.set("chosen", { ...this.model.get("chosen"), ...change });
    this.model.save_changes();
  }

  show(id) {
    this.model.set("shown", id);
    this.model.save_changes();
  }

  draw() {
    const focused = document.activeElement?.getAttribute?.("aria-label"); // the focus stays
    const board = rootOf("seglab-board", STYLE, this.iou(), this.confusion(), this.scatter(), this.found());
    this.element.replaceChildren(board);
    if (focused) [...board.querySelectorAll("[aria-label]")].find((e) => e.getAttribute("aria-label") === focused)?.focus();
  }

  iou() {
    const { models, classes, iou } = this.model.get("tables");
    const chosen = this.model.get("chosen");
    const cell = (name, m, k) => {
      const value = iou[name][k];
      if (value === null) return h("td", {}, "–");
      const pressed = chosen.model === m && chosen.target === k && chosen.pred === null;
      return h("td", {}, h("button", { type: "button", style: shade(value), "aria-pressed": String(pressed),
        "aria-label": `${classes[k]} of ${name}, IoU ${value.toFixed(2)}`,
        onclick: () => this.choose({ model: m, target: k, pred: null }) }, value.toFixed(2)));
    };
    const head = h("tr", {}, h("th"), ...models.map((name) => h("th", { class: "up", scope: "col" }, h("span", {}, name))));
    const cells = classes.map((_, k) => models.map((model, m) => cell(model, m, k)));
    reachable(cells);
    const rows = classes.map((name, k) => h("tr", {}, h("th", { scope: "row" }, name), ...cells[k]));
    return h("section", {}, h("h4", {}, "IoU: click a class"), h("table", {}, h("thead", {}, head), h("tbody", {}, ...rows)));
  }

  confusion() {
    const { models, classes, columns, confusion } = this.model.get("tables");
    const chosen = this.model.get("chosen");
    const pick = h("select", { "aria-label": "model of the confusion matrix",
      onchange: (event) => this.choose({ model: Number(event.target.value) }) },
      ...models.map((name, m) => h("option", { value: m }, name)));
    pick.value = chosen.model;
    const cell = (fraction, t, p) => {
      const pressed = chosen.target === t && chosen.pred === p;
      const text = fraction === null ? "" : fraction >= 0.005 ? Math.round(100 * fraction) : fraction > 0 ? "·" : "";
      return h("td", {}, h("button", { type: "button", style: shade(fraction ?? 0), "aria-pressed": String(pressed),
        "aria-label": `${classes[t]} predicted as ${columns[p]}, ${(100 * (fraction ?? 0)).toFixed(1)} %`,
        onclick: () => this.choose({ target: t, pred: p }) }, String(text) || "\u00a0"));
    };
    const head = h("tr", {}, h("th"), ...columns.map((name) => h("th", { class: "up", scope: "col" }, h("span", {}, name))));
    const cells = confusion[models[chosen.model]].map((row, t) => row.map((fraction, p) => cell(fraction, t, p)));
    reachable(cells);
    const rows = cells.map((row, t) => h("tr", {}, h("th", { scope: "row" }, classes[t]), ...row));
    return h("section", {}, h("h4", {}, "% of a class (row) that ", pick, " predicts as (column): click a cell"),
      h("table", {}, h("thead", {}, head), h("tbody", {}, ...rows)));
  }

  scatter() {
    const { models, images, miou } = this.model.get("tables");
    const [a, b] = this.axes.map((m) => miou[models[m]]);
    const known = [...a, ...b].filter((value) => value !== null);
    const low = Math.max(0, Math.min(...known) - 0.03), high = Math.min(1, Math.max(...known) + 0.03);
    const x = (value) => LEFT + ((value - low) / (high - low)) * SIDE;
    const y = (value) => 6 + SIDE - ((value - low) / (high - low)) * SIDE;
    const axis = (which) => {
      const pick = h("select", { "aria-label": `${which ? "upward" : "rightward"} model`,
        onchange: (event) => ((this.axes[which] = Number(event.target.value)), this.draw()) },
        ...models.map((name, m) => h("option", { value: m }, name)));
      pick.value = this.axes[which];
      return pick;
    };
    const points = images.map((id, i) => {
      if (a[i] === null || b[i] === null) return "";
      const text = `${id}: ${models[this.axes[0]]} ${a[i].toFixed(2)}, ${models[this.axes[1]]} ${b[i].toFixed(2)}`;
      const open = (event) => (event.type === "click" || ["Enter", " "].includes(event.key)) &&
        (event.preventDefault(), this.show(id));
      return h("circle", { cx: x(a[i]), cy: y(b[i]), r: 5, tabindex: -1, role: "button", "aria-label": text,
        "aria-pressed": String(this.model.get("shown") === id), onclick: open, onkeydown: open }, h("title", {}, text));
    });
    const fromLeft = points.filter(Boolean).sort((p, q) => p.getAttribute("cx") - q.getAttribute("cx"));
    roving([fromLeft], fromLeft.find(pressed));
    const ticks = [low, (low + high) / 2, high].flatMap((value) => [
      h("text", { x: x(value), y: SIDE + 20, "text-anchor": "middle" }, value.toFixed(2)),
      h("text", { x: LEFT - 5, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(2))]);
    const svg = h("svg", { width: SIDE + LEFT + 20, height: SIDE + FOOT, role: "group", "aria-label": "mIoU of each image" },
      h("line", { x1: x(low), y1: y(low), x2: x(high), y2: y(high) }),
      h("line", { x1: x(low), y1: y(low), x2: x(high), y2: y(low) }),
      h("line", { x1: x(low), y1: y(low), x2: x(low), y2: y(high) }), ...ticks, ...points);
    return h("section", {}, h("h4", {}, "mIoU of each image: ", axis(1), " over ", axis(0), ", click a point"), svg);
  }

  found() {
    const { models, classes, columns } = this.model.get("tables");
    const { model, target, pred } = this.model.get("chosen");
    const found = this.model.get("found");
    const what = pred === null ? `errors of ${models[model]} in ${classes[target]}` :
      pred === target ? `pixels of ${classes[target]} that ${models[model]} predicts correctly` :
        `pixels of ${classes[target]} that ${models[model]} predicts as ${columns[pred]}`;
    const buttons = found.map(({ id, pixels }) => h("li", {}, h("button", { type: "button",
      "aria-pressed": String(id === this.model.get("shown")), "aria-label": `image ${id}, ${pixels} pixels`,
      onclick: () => this.show(id) }, `${id} `, h("span", { style: "color: var(--soft)" }, pixels.toLocaleString("en")))));
    const images = buttons.map((item) => item.firstChild);
    roving([images], images.find(pressed));
    const none = found.length ? "" : "In no image.";
    return h("section", { class: "found", "aria-live": "polite" }, h("h4", {}, `Images with ${what}, most pixels first`), none,
      h("ul", {}, ...buttons));
  }
}

function render({ model, el }) {
  const board = (el.board = new Board(el, model));
  const draw = () => board.draw();
  const traits = ["tables", "chosen", "found", "shown"];
  for (const trait of traits) model.on(`change:${trait}`, draw);
  return () => traits.forEach((trait) => model.off(`change:${trait}`, draw));
}

export default { render };
