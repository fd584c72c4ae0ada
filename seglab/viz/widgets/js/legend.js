/* The legend: a button for each class that some layer shows, and the key of colours that stand for no class. */

import { h, percent, swatch } from "./dom.js";
import { stripesOf } from "./pixels.js";

export class Legend {
  /** @param viewer the frame: its layers, state and `set` */
  constructor(viewer) {
    this.viewer = viewer;
    const { classes } = viewer.layers.data;
    this.caption = h("div", { class: "caption soft" });
    this.buttons = classes.map(({ name, color }, k) => {
      const values = [h("span", { class: "v" }), h("span", { class: "v" })], patch = swatch(color);
      const button = h("button", { type: "button", "aria-pressed": "true", title: name, onclick: () => this.toggle(k) },
        patch, h("span", { class: "n" }, name), ...values);
      return { button, values, patch };
    });
    const set = (hidden) => () => viewer.set({ hidden });
    const all = h("button", { type: "button", onclick: set([]) }, "all");
    const none = h("button", { type: "button", onclick: set(classes.map((_, k) => k)) }, "none");
    this.root = h("div", { class: "legend", role: "group", "aria-label": "classes" }, this.caption,
      ...this.buttons.map(({ button }) => button), h("span", { class: "group" }, all, none));
    this.key = h("div", { class: "key" });
  }

  toggle(k) {
    const { hidden } = this.viewer.state;
    this.viewer.set({ hidden: hidden.includes(k) ? hidden.filter((i) => i !== k) : [...hidden, k] });
  }

  /** Fractions of pixels and IoU of the shown layers beside the classes; which classes are hidden; the stripes.
   * @param shown indices of one or two layers */
  update(shown) {
    const { layers, state } = this.viewer;
    const all = layers.data.layers;
    const rated = shown.some((index) => all[index].iou);
    const sides = shown.length > 1 ? ["left ", "right "] : [""];
    const names = shown.map((index, side) => `${sides[side]}${all[index].name}`).join(", ");
    this.caption.textContent = `fraction of pixels${rated ? " · IoU" : ""}: ${names}`;
    this.root.classList.toggle("pair", shown.length > 1);
    const striped = state.hatch && !state.outline && state.mode !== "error";
    this.buttons.forEach(({ button, values, patch }, k) => {
      button.setAttribute("aria-pressed", String(!state.hidden.includes(k)));
      values.forEach((value, side) => {
        const index = shown[side];
        value.textContent = index === undefined ? "" : percent(layers.fractions(index)[k]) + quality(all[index], k);
      });
      patch.style.backgroundImage = striped ? stripes(k) : "";
      button.hidden = !all.some((_, index) => layers.fractions(index)[k] > 0);
    });
  }

  /** Show the legend, the key, or both, whichever explain the colours of a mode. */
  explain(mode) {
    const rows = this.viewer.layers.meanings(mode, this.viewer.state);
    this.key.replaceChildren(...rows.map(([color, text]) => h("span", { class: "entry" }, swatch(color), text)));
    this.key.hidden = !rows.length;
    this.root.hidden = ["agreement", "paint", "outcome"].includes(mode);
  }
}

const quality = ({ iou }, k) => (typeof iou?.[k] === "number" ? ` · ${iou[k].toFixed(2)}` : "");

/** The stripes of a class as a background image. */
function stripes(k) {
  const rows = stripesOf(k);
  const canvas = h("canvas", { width: rows.length, height: rows.length });
  const context = canvas.getContext("2d");
  context.fillStyle = "#000a";
  rows.forEach((row, y) => [...row].forEach((digit, x) => digit === "1" && context.fillRect(x, y, 1, 1)));
  return `url(${canvas.toDataURL()})`;
}
