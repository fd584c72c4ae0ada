/* The brush: the reader paints a class, and the IoU of the drawing is compared with that of the models. */

import { h } from "./dom.js";
import { VOID, iouOf } from "./pixels.js";

const UNDO = 20; // strokes

export class Painting {
  /** @param viewer the frame: its layers, state, kernel, `repaint` and `say` */
  constructor(viewer) {
    this.viewer = viewer;
    this.earlier = []; // the drawing before each stroke
    this.root = h("div", { class: "scores" });
  }

  /** Options for the classes that the target shows. */
  pens() {
    const { layers, state } = this.viewer;
    const { classes, target } = layers.data;
    if (target === null) return [];
    const present = classes.map((_, k) => k).filter((k) => layers.fractions(target)[k] > 0);
    if (!present.includes(state.pen)) state.pen = present[0] ?? 0;
    return present.map((k) => h("option", { value: k }, classes[k].name));
  }

  begin() {
    this.earlier = [...this.earlier.slice(1 - UNDO), this.viewer.layers.drawing.slice()];
    this.last = null;
  }

  /** A line of the brush from its last position to (x, y), in pixels of the image. */
  draw(x, y) {
    const { layers, state } = this.viewer;
    const { width, height } = layers.data;
    const [x0, y0] = this.last ?? [x, y];
    const steps = Math.max(1, Math.ceil(Math.hypot(x - x0, y - y0)));
    const reach = state.brush + 0.5;
    for (let n = 0; n <= steps; n++) {
      const [cx, cy] = [x0 + ((x - x0) * n) / steps, y0 + ((y - y0) * n) / steps];
      for (let v = Math.max(0, Math.floor(cy - reach)); v < Math.min(height, cy + reach); v++) {
        for (let u = Math.max(0, Math.floor(cx - reach)); u < Math.min(width, cx + reach); u++) {
          const inside = Math.hypot(u + 0.5 - cx, v + 0.5 - cy) <= reach;
          if (inside) layers.drawing[v * width + u] = state.erase ? VOID : state.pen;
        }
      }
    }
    this.last = [x, y];
    this.viewer.repaint(false);
  }

  /** A single touch of the brush, by a key: screen readers announce the score. */
  dot(x, y) {
    this.begin();
    this.draw(x, y);
    this.end();
    this.viewer.say(this.root.textContent);
  }

  end() {
    this.viewer.kernel?.drawn(this.viewer.layers.drawing);
  }

  undo() {
    this.viewer.layers.drawing = this.earlier.pop() ?? this.viewer.layers.drawing;
    this.viewer.repaint(false);
    this.end();
  }

  clear() {
    this.begin();
    this.viewer.layers.drawing.fill(VOID);
    this.viewer.repaint(false);
    this.end();
  }

  /** Show the IoU of the drawing beside that of each model. */
  score() {
    const { layers, state } = this.viewer;
    const { classes, layers: maps, target } = layers.data;
    const { pen } = state;
    const own = layers.drawing.includes(pen) ? iouOf(pen, layers.drawing, layers.labels[target]) : null;
    const models = maps.filter((_, i) => i !== target).map(({ name, iou }) => [name, iou?.[pen] ?? null]);
    const rows = [["you", own], ...models.sort((a, b) => (b[1] ?? -1) - (a[1] ?? -1))].map(([name, value]) => {
      const meter = h("i", { style: `width: ${100 * (value ?? 0)}%; background: rgb(${classes[pen].color.join()})` });
      return h("tr", {}, h("td", {}, name), h("td", {}, h("span", { class: "meter" }, meter)),
        h("td", { class: "number" }, value === null ? "–" : value.toFixed(2)));
    });
    this.root.replaceChildren(h("span", { class: "soft" }, `IoU of ${classes[pen].name}; the space bar paints, too`),
      h("table", { class: "score" }, h("tbody", {}, ...rows)));
  }
}
