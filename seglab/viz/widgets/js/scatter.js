/* The images of a board as points: two numbers of each. A click shows an image, a lasso selects several. */

import { h } from "./dom.js";
import { rangeOf } from "./numbers.js";

const MARGIN = { left: 44, right: 10, top: 10, bottom: 28 }; // pixels
const GRAB = 9; // pixels around a point within which a click meets it
const STILL = 5; // a press that moves less is a click

/** Whether a position lies in a polygon [[x, y], …], by the crossings of a ray to the right. */
export function within(polygon, x, y) {
  let inside = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [xi, yi] = polygon[i], [xj, yj] = polygon[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

export class Scatter {
  /** @param board its counts, passed, shown, numbers, `show` and `lassoed` */
  constructor(board) {
    this.board = board;
    this.axes = [["miou", 0], board.data.models.length > 1 ? ["miou", 1] : ["share", 0]];
    this.canvas = h("canvas", { tabindex: 0, role: "application", onkeydown: (event) => this.key(event),
      onpointerdown: (event) => this.press(event), onpointermove: (event) => this.move(event),
      onpointerup: (event) => this.release(event), onpointercancel: () => ((this.lasso = null), this.draw()) });
    this.selects = [0, 1].map((which) => h("select", { "aria-label": which ? "upward number" : "rightward number",
      onchange: (event) => ((this.axes[which] = JSON.parse(event.target.value)), this.draw()) }));
    this.root = [h("p", { class: "hint" }, "A click on a point shows the image; a line drawn around points selects them: ",
      this.selects[1], " over ", this.selects[0]), this.canvas];
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  /** The numbers on offer follow the chosen class and model. */
  update() {
    const numbers = this.board.numbers();
    this.selects.forEach((select, which) => {
      const axis = this.axes[which];
      if (!numbers.some(({ spec }) => String(spec) === String(axis))) {
        this.axes[which] = numbers.find(({ spec }) => spec[0] === axis[0] && (axis[0] !== "iou" || spec[1] === axis[1]))?.spec
          ?? numbers[0].spec;
      }
      select.replaceChildren(...numbers.map(({ spec, label }) => h("option", { value: JSON.stringify(spec) }, label)));
      select.value = JSON.stringify(this.axes[which]);
    });
    this.draw();
  }

  /** Positions of all images on the canvas: { x, y } in pixels of the page, NaN where a number is missing. */
  place() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const numbers = this.axes.map((spec) => this.board.number(spec));
    const alike = this.axes.every(([kind]) => ["miou", "iou", "confidence"].includes(kind));
    let ranges = numbers.map(({ values }) => rangeOf(values));
    if (alike) ranges = [0, 1].map(() => [Math.min(...ranges.map((r) => r[0])), Math.max(...ranges.map((r) => r[1]))]);
    ranges = ranges.map(([low, high]) => [low - (high - low || 1) * 0.03, high + (high - low || 1) * 0.03]);
    const scale = (which, value) => (value - ranges[which][0]) / (ranges[which][1] - ranges[which][0]);
    const x = (value) => MARGIN.left + (width - MARGIN.left - MARGIN.right) * scale(0, value);
    const y = (value) => height - MARGIN.bottom - (height - MARGIN.top - MARGIN.bottom) * scale(1, value);
    this.points = { x: numbers[0].values.map(x), y: numbers[1].values.map(y) };
    return { numbers, ranges, alike, x, y, width, height };
  }

  draw() {
    const ratio = window.devicePixelRatio || 1, { clientWidth, clientHeight } = this.canvas;
    if (!clientWidth) return;
    this.canvas.width = clientWidth * ratio;
    this.canvas.height = clientHeight * ratio;
    const context = this.canvas.getContext("2d"), style = getComputedStyle(this.canvas);
    const color = (name) => style.getPropertyValue(name);
    context.scale(ratio, ratio);
    this.frame(context, this.place(), color);
    const { passed, shown } = this.board, { x, y } = this.points;
    const side = x.length > 2000 ? 3 : x.length > 400 ? 5 : 7;
    const dots = (keep, fill, alpha) => {
      context.fillStyle = fill;
      context.globalAlpha = alpha;
      for (let i = 0; i < x.length; i++) if (keep(i)) context.fillRect(x[i] - side / 2, y[i] - side / 2, side, side);
      context.globalAlpha = 1;
    };
    dots((i) => !passed[i], color("--soft"), 0.22);
    dots((i) => passed[i], color("--accent"), 0.65);
    this.ring(context, shown, color("--ink"));
    if (this.at !== undefined && document.activeElement === this.canvas) this.ring(context, this.at, color("--accent"));
    if (this.lasso) this.line(context, color("--ink"));
    const [right, up] = this.axes.map((spec) => this.board.number(spec).label);
    this.canvas.setAttribute("aria-label",
      `${up} over ${right}, a point for each image. Arrow keys go from point to point, Enter shows one.`);
  }

  frame(context, { ranges, alike, numbers, x, y, width, height }, color) {
    context.font = `11px ${getComputedStyle(this.canvas).fontFamily}`;
    context.strokeStyle = color("--line");
    context.fillStyle = color("--soft");
    context.beginPath();
    context.moveTo(MARGIN.left, MARGIN.top);
    context.lineTo(MARGIN.left, height - MARGIN.bottom);
    context.lineTo(width - MARGIN.right, height - MARGIN.bottom);
    if (alike) context.moveTo(x(ranges[0][0]), y(ranges[0][0])), context.lineTo(x(ranges[0][1]), y(ranges[0][1]));
    context.stroke();
    for (const part of [0.05, 0.5, 0.95]) {
      const [right, up] = ranges.map(([low, high]) => low + (high - low) * part);
      context.textAlign = "center";
      context.fillText(numbers[0].format(right), x(right), height - MARGIN.bottom + 16);
      context.textAlign = "right";
      context.fillText(numbers[1].format(up), MARGIN.left - 5, y(up) + 4);
    }
  }

  ring(context, index, stroke) {
    context.strokeStyle = stroke;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(this.points.x[index], this.points.y[index], 7, 0, 2 * Math.PI);
    context.stroke();
    context.lineWidth = 1;
  }

  line(context, stroke) {
    context.strokeStyle = stroke;
    context.setLineDash([4, 3]);
    context.beginPath();
    this.lasso.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.closePath();
    context.stroke();
    context.setLineDash([]);
  }

  position(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.x, event.clientY - box.y];
  }

  press(event) {
    if (event.button) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.lasso = [this.position(event)];
  }

  move(event) {
    const [x, y] = this.position(event);
    const near = this.nearest(x, y);
    this.canvas.title = near === null ? "" : this.text(near);
    if (!this.lasso) return;
    this.lasso.push([x, y]);
    this.draw();
  }

  release(event) {
    const lasso = this.lasso;
    this.lasso = null;
    if (!lasso) return;
    const [x, y] = this.position(event), [left, top] = lasso[0];
    const moved = lasso.some(([px, py]) => Math.hypot(px - left, py - top) > STILL);
    if (moved) {
      const label = this.axes.map((spec) => this.board.number(spec).label).reverse().join(" over ");
      return this.board.lassoed(Uint8Array.from(this.points.x, (px, i) => within(lasso, px, this.points.y[i])), label);
    }
    const near = this.nearest(x, y);
    if (near !== null) this.board.show((this.at = near));
    this.draw();
  }

  /** The index of the nearest point within reach, or null. */
  nearest(x, y) {
    let best = null, least = GRAB;
    this.points?.x.forEach((px, i) => {
      const distance = Math.hypot(px - x, this.points.y[i] - y);
      if (distance < least) (least = distance), (best = i);
    });
    return best;
  }

  text(index) {
    const texts = this.axes.map((spec) => this.board.number(spec))
      .map(({ label, values, format }) => `${label} ${format(values[index])}`);
    return `${this.board.data.images[index]}: ${texts.join(", ")}`;
  }

  /** Arrow keys go from point to point, from left to right. */
  key(event) {
    const order = [...this.points.x.keys()].filter((i) => !Number.isNaN(this.points.x[i] + this.points.y[i]))
      .sort((a, b) => this.points.x[a] - this.points.x[b]);
    if (!order.length) return;
    const at = order.indexOf(this.at ?? this.board.shown), last = order.length - 1;
    const next = { ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at - 1, ArrowDown: at - 1, Home: 0, End: last }[event.key];
    if (next !== undefined) {
      this.at = order[Math.min(last, Math.max(0, next))];
      this.board.say(this.text(this.at));
    } else if (["Enter", " "].includes(event.key)) this.board.show(this.at ?? order[0]);
    else return;
    event.preventDefault();
    this.draw();
  }
}
