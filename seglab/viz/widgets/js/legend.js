/* The legend: a button for each class that some layer shows; or the key of a map that shows no classes. */

import { h, percent, swatch } from "./dom.js";

export class Legend {
  /** @param viewer the frame: its layers, state and `set` */
  constructor(viewer) {
    this.viewer = viewer;
    const { classes } = viewer.layers.data;
    this.buttons = classes.map(({ name, color }, k) => {
      const value = h("span", { class: "v" });
      const button = h("button", { type: "button", "aria-pressed": "true", title: name, onclick: () => this.toggle(k) },
        swatch(color), h("span", { class: "n" }, name), value);
      return { button, value };
    });
    const set = (hidden) => () => viewer.set({ hidden });
    const all = h("button", { type: "button", onclick: set([]) }, "all");
    const none = h("button", { type: "button", onclick: set(classes.map((_, k) => k)) }, "none");
    this.root = h("div", { class: "legend", role: "group", "aria-label": "classes" },
      ...this.buttons.map(({ button }) => button), h("span", { class: "group" }, all, none));
    this.key = h("div", { class: "key" });
  }

  toggle(k) {
    const { hidden } = this.viewer.state;
    this.viewer.set({ hidden: hidden.includes(k) ? hidden.filter((i) => i !== k) : [...hidden, k] });
  }

  /** Fractions of pixels and IoU beside the classes; which classes are hidden. */
  update() {
    const { layers, state } = this.viewer;
    const fractions = layers.fractions(state.left), { iou } = layers.data.layers[state.left];
    this.buttons.forEach(({ button, value }, k) => {
      button.setAttribute("aria-pressed", String(!state.hidden.includes(k)));
      const quality = iou && iou[k] !== null && iou[k] !== undefined ? ` · IoU ${iou[k].toFixed(2)}` : "";
      value.textContent = `${percent(fractions[k])}${quality}`;
      button.hidden = !layers.data.layers.some((_, index) => layers.fractions(index)[k] > 0);
    });
  }

  /** Show the legend or the key, whichever explains the colours of a mode. */
  explain(mode) {
    const rows = this.viewer.layers.meanings(mode);
    this.key.replaceChildren(...rows.map(([color, text]) => h("span", { class: "entry" }, swatch(color), text)));
    this.key.hidden = !rows.length;
    this.root.hidden = Boolean(rows.length) || mode === "paint";
  }
}
