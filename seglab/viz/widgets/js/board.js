/* The board of a comparison: an IoU table, a confusion matrix, a scatter plot, and the images as a table. All of them show
 * one choice (a cell: model, target class, predicted class) and one selection of images. `counts.js` describes the data.
 *
 * The board knows neither kernel nor viewer. Its host does:
 *   chosen(chosen, index)   a cell was chosen; index is the first image where it occurs, or null
 *   show(index)             an image was chosen
 *   selected(indices)       the images that pass all filters, in their order
 *   thumbs(indices)         optional; asks for thumbnails, which come by `board.arrived({ index: data URL })`
 */

import { BOARD_STYLE } from "./boardstyle.js";
import { h, rootOf } from "./dom.js";
import { Filters } from "./filters.js";
import { Gallery } from "./gallery.js";
import { confusionTable, iouTable } from "./matrices.js";
import { allNumbers, columnsOf, numberOf, questionOf } from "./numbers.js";
import { roving } from "./roving.js";
import { Scatter } from "./scatter.js";

const TABS = { iou: "IoU", confusion: "confusion", images: "images" };
let boards = 0;

export class Board {
  /**
   * @param element where it appears
   * @param counts the `Counts`
   * @param chosen { model, target, pred }: indices; pred is null for all errors of a class
   * @param host see above
   */
  constructor(element, counts, chosen, host) {
    this.counts = counts;
    this.data = counts.data;
    this.host = host;
    this.name = `seglab-board-${boards++}`;
    this.thumbs = new Map(Object.entries(this.data.thumbs ?? {}).map(([index, url]) => [Number(index), url]));
    this.inside = this.data.inside ? new Set(this.data.inside) : null;
    this.filters = new Map(); // key of a number → { number, range }; "lasso" → { label, mask }
    this.shown = -1;
    this.times = []; // milliseconds of each update, for measurements
    this.tab = "iou";
    this.live = h("div", { class: "spoken", "aria-live": "polite" });
    this.scatter = new Scatter(this);
    this.gallery = new Gallery(this);
    this.bar = new Filters(this);
    this.panels = Object.fromEntries(Object.entries(TABS).map(([key, name]) => [key,
      h("div", { class: `panel ${key}`, role: "tabpanel", id: `${this.name}-${key}`, "aria-label": name })]));
    this.panels.images.append(...this.scatter.root);
    this.root = rootOf("seglab-board", BOARD_STYLE, this.tabs(), ...Object.values(this.panels), this.bar.root,
      this.gallery.root, this.live);
    element.replaceChildren(this.root);
    this.open(this.tab);
    this.ask(chosen);
  }

  tabs() {
    this.buttons = Object.entries(TABS).map(([key, name]) => h("button", { type: "button", role: "tab",
      "aria-controls": `${this.name}-${key}`, onclick: () => this.open(key) }, name));
    roving([this.buttons]);
    return h("div", { class: "tabs", role: "tablist", "aria-label": "views of the counts" }, ...this.buttons);
  }

  open(tab) {
    this.tab = tab;
    Object.keys(TABS).forEach((key, i) => {
      this.buttons[i].setAttribute("aria-selected", String(key === tab));
      this.panels[key].hidden = key !== tab;
    });
    this.scatter.draw();
  }

  // Numbers

  number(spec) {
    return this.counts.once(`number ${spec.join(" ")}`, () => numberOf(this.counts, spec));
  }

  /** All numbers on offer, with what names them. */
  numbers() {
    return allNumbers(this.chosen, this.data).map((spec) => ({ spec, ...this.number(spec) }));
  }

  isInside(index) {
    return !this.inside || this.inside.has(index);
  }

  // What the reader does

  /** Choose a cell: list the images where it occurs, most pixels first, and show the first. */
  choose(change) {
    const focused = document.activeElement?.getAttribute("aria-label"); // the focus stays, although tables are made again
    this.ask({ ...this.chosen, ...change });
    this.host.chosen(this.chosen, this.rows.length ? (this.shown = this.rows[0]) : null);
    this.gallery.mark();
    this.scatter.draw();
    const labelled = focused ? [...this.root.querySelectorAll("[aria-label]")] : [];
    labelled.find((element) => element.getAttribute("aria-label") === focused)?.focus({ preventScroll: true });
    this.say(`${this.rows.length} images with ${this.question}`);
    this.reveal();
  }

  /** Sort and filter by a cell, without telling the host. */
  ask({ model, target, pred }) {
    this.chosen = { model, target, pred };
    this.question = questionOf(this.data, model, target, pred);
    this.columns = columnsOf(this.chosen, this.data).map(([name, title, spec]) =>
      ({ name, title, key: spec[0], number: this.number(spec) }));
    this.sorting = { key: "pixels", down: true };
    this.only = true; // images without such pixels are left out
    const choose = (change) => this.choose(change);
    this.panels.iou.replaceChildren(...iouTable(this.data, this.chosen, choose));
    this.panels.confusion.replaceChildren(...confusionTable(this.data, this.chosen, choose));
    this.update();
  }

  show(index) {
    this.shown = index;
    this.host.show(index);
    this.gallery.mark();
    this.scatter.draw();
    this.bar.count();
    this.reveal();
  }

  sort(key) {
    const { sorting } = this;
    this.sorting = { key, down: sorting.key === key ? !sorting.down : ["pixels", "share", "disagreement"].includes(key) };
    this.update();
    const heading = this.columns.findIndex((column) => column.key === key);
    this.gallery.head.querySelectorAll("button")[heading]?.focus({ preventScroll: true });
  }

  /** Keep images with a number in range [low, high]; null takes the filter away. */
  filter(number, range) {
    if (range) this.filters.set(number.key, { label: number.label, number, range });
    else this.filters.delete(number.key);
    this.update();
  }

  /** Keep the images with a 1 in the mask. */
  lassoed(mask, label) {
    if (mask.includes(1)) this.filters.set("lasso", { label: `points in ${label}`, mask });
    else this.filters.delete("lasso");
    this.update();
  }

  // What follows

  /** Filter and sort the images; draw what depends on it. */
  update() {
    const begin = performance.now();
    const { size } = this.counts, pixels = this.columns[0].number.values;
    this.passed = new Uint8Array(size).fill(1);
    for (const { number, range, mask } of this.filters.values()) {
      for (let i = 0; i < size; i++) {
        if (mask ? !mask[i] : !(number.values[i] >= range[0] && number.values[i] <= range[1])) this.passed[i] = 0;
      }
    }
    if (this.only) for (let i = 0; i < size; i++) if (!pixels[i]) this.passed[i] = 0;
    const { values } = this.columns.find(({ key }) => key === this.sorting.key).number, sign = this.sorting.down ? -1 : 1;
    const rank = (i) => (Number.isNaN(values[i]) ? Infinity : sign * values[i]);
    const ranks = Float64Array.from(values, (_, i) => rank(i));
    this.rows = [...this.passed.keys()].filter((i) => this.passed[i])
      .sort((a, b) => (ranks[a] === ranks[b] ? a - b : ranks[a] - ranks[b]));
    this.bar.update();
    this.gallery.update();
    this.scatter.update();
    this.times.push(performance.now() - begin);
    clearTimeout(this.telling);
    this.telling = setTimeout(() => this.host.selected(this.rows), 150);
  }

  /** Thumbnails have come: { index: data URL }. */
  arrived(thumbs) {
    for (const [index, url] of Object.entries(thumbs)) this.thumbs.set(Number(index), url);
    this.gallery.arrived();
  }

  /** Follow a choice that was made elsewhere. */
  follow(chosen, index) {
    const { models, classes, columns } = this.data;
    const known = chosen.model in models && chosen.target in classes && (chosen.pred === null || chosen.pred in columns);
    const same = ["model", "target", "pred"].every((key) => this.chosen[key] === chosen[key]);
    if (known && !same) this.ask(chosen);
    this.shown = index;
    this.gallery.mark();
    this.scatter.draw();
    this.bar.count();
  }

  say(text) {
    this.live.textContent = text;
  }

  /** Scroll the viewer into view where it stands below the board. */
  reveal() {
    const viewer = this.root.closest(".seglab-linked")?.querySelector(".seglab-viewer");
    if (viewer && viewer.getBoundingClientRect().top > this.root.getBoundingClientRect().bottom - 20) {
      viewer.scrollIntoView({ block: "nearest", behavior: "smooth" });
    }
  }

  close() {
    clearTimeout(this.telling);
    clearTimeout(this.gallery.timer);
  }
}
