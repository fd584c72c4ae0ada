/* The probe: the predictions of every layer for one pixel, and what a kernel adds to them. */

import { h, swatch } from "./dom.js";

const PAUSE = 60; // milliseconds of rest before the kernel is asked

export class Probe {
  /** @param viewer the frame: its layers, panes, pointer, state, readout and kernel */
  constructor(viewer) {
    this.viewer = viewer;
    this.at = null; // [x, y]
    this.readings = null; // [name, label, text of the kernel] of each layer
  }

  move(x, y) {
    const { layers, panes, pointer, state, kernel } = this.viewer;
    const { width, height } = layers.data;
    x = Math.min(width - 1, Math.max(0, x));
    y = Math.min(height - 1, Math.max(0, y));
    if (this.at && this.at[0] === x && this.at[1] === y) return;
    this.at = [x, y];
    for (const { cross } of panes) {
      cross.style.display = "block";
      cross.style.left = `${(100 * (x + 0.5)) / width}%`;
      cross.style.top = `${(100 * (y + 0.5)) / height}%`;
    }
    pointer.place();
    this.readings = layers.data.layers.map((layer, i) => [layer.name, layers.labels[i][y * width + x], ""]);
    if (state.mode === "paint") return; // the target stays hidden from the painter
    this.show();
    if (kernel) {
      clearTimeout(this.asking);
      this.asking = setTimeout(() => kernel.probe(x, y), PAUSE);
    }
  }

  /** Add the kernel's [layer, text] pairs, if the probe is still at this pixel. */
  answer(x, y, texts) {
    if (!this.at || this.at[0] !== x || this.at[1] !== y) return;
    for (const [index, text] of texts) this.readings[index][2] = text;
    this.show();
  }

  show() {
    const { layers, painting, readout } = this.viewer;
    painting.shown = false;
    if (!this.readings) return readout.replaceChildren();
    const rows = this.readings.map(([name, label, text]) => {
      const known = layers.data.classes[label];
      return h("tr", {}, h("td", { class: "soft" }, name),
        h("td", {}, swatch(known ? known.color : [0, 0, 0]), ` ${known ? known.name : "void"}`),
        h("td", { class: "soft" }, text));
    });
    const [x, y] = this.at;
    readout.replaceChildren(h("span", { class: "soft" }, `row ${y}, column ${x}`), h("table", {}, h("tbody", {}, ...rows)));
  }

  close() {
    clearTimeout(this.asking);
  }
}
