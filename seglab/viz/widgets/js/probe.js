/* The probe: the predictions of every layer for one pixel, and the numbers that a kernel adds to them. Its table has the
 * same size for every pixel, so that the page stands still while the pointer moves. */

import { h, percent, swatch } from "./dom.js";

const PAUSE = 60; // milliseconds of rest before the kernel is asked
const READINGS = { probability: percent, margin: (v) => v.toFixed(2), entropy: (v) => `${v.toFixed(1)} bits` };

export class Probe {
  /** @param viewer the frame: its layers, panes, pointer, state, kernel and `say` */
  constructor(viewer) {
    this.viewer = viewer;
    this.at = null; // [x, y]
    this.keyed = false; // whether a key moved it there
    const numbers = viewer.kernel ? Object.keys(READINGS) : [];
    this.rows = viewer.data.layers.map(({ name }) => {
      const values = numbers.map(() => h("td", { class: "number" }));
      return { color: swatch([0, 0, 0]), label: h("span"), values, name };
    });
    const head = h("tr", {}, ...["model", "class", ...numbers].map((name) => h("th", { scope: "col" }, name)));
    const body = this.rows.map(({ name, color, label, values }) => {
      color.hidden = true;
      return h("tr", {}, h("td", { class: "soft", title: name }, name), h("td", {}, color, " ", label), ...values);
    });
    this.where = h("div", { class: "where soft" }, "Point at a pixel, or press arrow keys.");
    this.root = h("div", { class: "probe" }, this.where,
      h("table", { class: "pixel" }, h("thead", {}, head), h("tbody", {}, ...body)));
  }

  /** Go to a pixel; `keyed` if by a key, which screen readers announce. */
  move(x, y, keyed = false) {
    const { layers, panes, pointer, state, kernel } = this.viewer;
    const { width, height } = layers.data;
    x = Math.min(width - 1, Math.max(0, x));
    y = Math.min(height - 1, Math.max(0, y));
    if (this.at && this.at[0] === x && this.at[1] === y) return;
    this.at = [x, y];
    this.keyed = keyed;
    for (const { cross } of panes) {
      cross.style.display = "block";
      cross.style.left = `${(100 * (x + 0.5)) / width}%`;
      cross.style.top = `${(100 * (y + 0.5)) / height}%`;
    }
    pointer.place();
    this.where.textContent = `row ${y}, column ${x}`;
    this.rows.forEach(({ color, label, values }, i) => {
      const known = layers.data.classes[layers.labels[i][y * width + x]];
      color.hidden = false;
      color.style.background = `rgb(${(known?.color ?? [0, 0, 0]).join()})`;
      label.textContent = label.title = known?.name ?? "void";
      for (const value of values) value.textContent = "";
    });
    if (state.mode === "paint") return; // the target stays hidden from the painter
    this.announce();
    if (kernel) {
      clearTimeout(this.asking);
      this.asking = setTimeout(() => kernel.probe(x, y), PAUSE);
    }
  }

  /** Add the kernel's [layer, { probability, margin, entropy }] pairs, if the probe is still at this pixel. */
  answer(x, y, readings) {
    if (!this.at || this.at[0] !== x || this.at[1] !== y) return;
    for (const [index, reading] of readings) {
      Object.entries(READINGS).forEach(([name, format], i) => (this.rows[index].values[i].textContent = format(reading[name])));
    }
    if (readings.length && this.viewer.state.mode !== "paint") this.announce();
  }

  announce() {
    if (!this.keyed) return;
    const rows = this.rows.map(({ name, label, values }) => [name, label, values[0]].map((e) => e?.textContent ?? e).join(" "));
    this.viewer.say(`${this.where.textContent}: ${rows.map((row) => row.trim()).join(", ")}`);
  }

  close() {
    clearTimeout(this.asking);
  }
}
