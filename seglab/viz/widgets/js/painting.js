/* Painting: the reader draws classes by brush and fill, and the IoU of the drawing is compared with that of the models. */

import { h } from "./dom.js";
import { VOID, overlapOf } from "./pixels.js";
import { labelPng } from "./png.js";

const UNDO = 20; // strokes
export const TOOLS = ["brush", "erase", "fill", "pick"];

export class Painting {
  /** @param viewer the frame: its layers, panes, state, kernel, `set`, `repaint` and `say` */
  constructor(viewer) {
    this.viewer = viewer;
    this.earlier = []; // the drawing before each stroke
    this.later = []; // those that were undone
    this.root = h("div", { class: "scores" });
  }

  /** The classes that the target shows. */
  pens() {
    const { layers, state } = this.viewer;
    const { classes, target } = layers.data;
    if (target === null) return [];
    const present = classes.map((_, k) => k).filter((k) => layers.fractions(target)[k] > 0);
    if (!present.includes(state.pen)) state.pen = present[0] ?? 0;
    return present;
  }

  begin() {
    this.earlier = [...this.earlier.slice(1 - UNDO), this.viewer.layers.drawing.slice()];
    this.later = [];
    this.last = null;
  }

  /** Use the tools that need a click, not a stroke; false where the tool is another one. Positions are fractions. */
  click(across, down) {
    const { layers, state } = this.viewer;
    const { width, height } = layers.data;
    const x = Math.min(width - 1, Math.max(0, Math.floor(across * width)));
    const y = Math.min(height - 1, Math.max(0, Math.floor(down * height)));
    const found = layers.drawing[y * width + x];
    if (state.tool === "pick") this.viewer.set(found === VOID ? { tool: "brush" } : { tool: "brush", pen: found });
    else if (state.tool === "fill") this.fill(x, y, found);
    else return false;
    return true;
  }

  /** Fill the connected region around a pixel that has one label, or none. */
  fill(x, y, found) {
    const { layers, state } = this.viewer;
    const { width, height } = layers.data;
    if (found === state.pen) return;
    this.begin();
    const { drawing } = layers;
    const waiting = [y * width + x];
    drawing[waiting[0]] = state.pen;
    while (waiting.length) {
      const i = waiting.pop(), column = i % width;
      for (const [next, exists] of [[i - 1, column > 0], [i + 1, column < width - 1], [i - width, true], [i + width, true]]) {
        if (!exists || next < 0 || next >= width * height || drawing[next] !== found) continue;
        drawing[next] = state.pen;
        waiting.push(next);
      }
    }
    this.viewer.repaint(false);
    this.end();
  }

  /** A line of the brush from its last position to (x, y), in pixels of the image. */
  draw(x, y) {
    const { layers, state } = this.viewer;
    const { width, height } = layers.data;
    const [x0, y0] = this.last ?? [x, y];
    const steps = Math.max(1, Math.ceil(Math.hypot(x - x0, y - y0)));
    const reach = state.brush + 0.5;
    const label = state.tool === "erase" ? VOID : state.pen;
    for (let n = 0; n <= steps; n++) {
      const [cx, cy] = [x0 + ((x - x0) * n) / steps, y0 + ((y - y0) * n) / steps];
      for (let v = Math.max(0, Math.floor(cy - reach)); v < Math.min(height, cy + reach); v++) {
        for (let u = Math.max(0, Math.floor(cx - reach)); u < Math.min(width, cx + reach); u++) {
          if (Math.hypot(u + 0.5 - cx, v + 0.5 - cy) <= reach) this.put(v * width + u, label);
        }
      }
    }
    this.last = [x, y];
    const low = (a, b) => Math.max(0, Math.floor(Math.min(a, b) - reach)), high = (a, b) => Math.ceil(Math.max(a, b) + reach);
    const box = [low(x, x0), low(y, y0), Math.min(width, high(x, x0)), Math.min(height, high(y, y0))];
    if (box[2] > box[0] && box[3] > box[1]) layers.paint(this.viewer.panes[0].overs[0], "paint", 0, state, box);
    this.score();
  }

  /** Change one pixel, and the counts of the pen with it. */
  put(i, label) {
    const { layers, state } = this.viewer;
    const { drawing } = layers;
    const before = drawing[i] === state.pen, after = label === state.pen;
    drawing[i] = label;
    const target = layers.labels[layers.data.target][i];
    this.drawn += after - before;
    if (before === after || target === VOID) return;
    if (target === state.pen) this.both += after - before;
    else this.either += after - before;
  }

  /** A single touch of the brush, by a key: screen readers announce the score. */
  dot(x, y) {
    const { width, height } = this.viewer.layers.data;
    if (!this.click(x / width, y / height)) {
      this.begin();
      this.draw(x, y);
      this.end();
    }
    this.viewer.say(this.root.textContent);
  }

  end() {
    this.viewer.kernel?.drawn(this.viewer.layers.drawing);
  }

  undo() {
    this.change(this.earlier, this.later);
  }

  redo() {
    this.change(this.later, this.earlier);
  }

  change(from, to) {
    if (!from.length) return;
    to.push(this.viewer.layers.drawing);
    this.viewer.layers.drawing = from.pop();
    this.viewer.repaint(false);
    this.end();
  }

  clear() {
    this.begin();
    this.viewer.layers.drawing.fill(VOID);
    this.viewer.repaint(false);
    this.end();
  }

  /** Keys of the painting mode; false for any other. */
  key(event) {
    const { state } = this.viewer;
    const control = event.ctrlKey || event.metaKey;
    const digit = /^[1-9]$/.test(event.key) ? this.pens()[Number(event.key) - 1] : undefined;
    if (control && event.key.toLowerCase() === "z") event.shiftKey ? this.redo() : this.undo();
    else if (control && event.key.toLowerCase() === "y") this.redo();
    else if (control) return false;
    else if (event.key === "[") this.viewer.set({ brush: Math.max(0, state.brush - 1) });
    else if (event.key === "]") this.viewer.set({ brush: state.brush + 1 });
    else if (digit !== undefined) this.viewer.set({ pen: digit });
    else return false;
    return true;
  }

  /** Save the drawing as a label map: greyscale PNG, 255 where nothing is painted. */
  async save() {
    const { width, height } = this.viewer.layers.data;
    const blob = await labelPng(this.viewer.layers.drawing, width, height);
    const address = URL.createObjectURL(blob);
    h("a", { href: address, download: "drawing.png" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }

  /** Count the pen's pixels in the whole drawing, and show its IoU. */
  count() {
    const { layers, state } = this.viewer;
    [this.both, this.either] = overlapOf(state.pen, layers.drawing, layers.labels[layers.data.target]);
    this.drawn = layers.drawing.reduce((sum, label) => sum + (label === state.pen), 0);
    this.score();
  }

  /** Show the IoU of the drawing beside that of each model. */
  score() {
    const { layers, state } = this.viewer;
    const { classes, layers: maps, target } = layers.data;
    const { pen } = state;
    const own = this.drawn && this.either ? this.both / this.either : null;
    const models = maps.filter((_, i) => i !== target).map(({ name, iou }) => [name, iou?.[pen] ?? null]);
    const rows = [["you", own], ...models.sort((a, b) => (b[1] ?? -1) - (a[1] ?? -1))].map(([name, value]) => {
      const meter = h("i", { style: `width: ${100 * (value ?? 0)}%; background: rgb(${classes[pen].color.join()})` });
      return h("tr", {}, h("td", {}, name), h("td", {}, h("span", { class: "meter" }, meter)),
        h("td", { class: "number" }, value === null ? "–" : value.toFixed(2)));
    });
    const keys = "The space bar paints, the keys 1 to 9 choose a class, [ and ] the size of the brush.";
    this.root.replaceChildren(h("span", { class: "soft" }, `IoU of ${classes[pen].name}. ${keys}`),
      h("table", { class: "score" }, h("tbody", {}, ...rows)));
  }
}
