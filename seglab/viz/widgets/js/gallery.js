/* The images of a board as a table: a thumbnail and the numbers of each. Only the rows in view are elements. */

import { h } from "./dom.js";
import { binned, rangeOf } from "./numbers.js";

export const ROW = 60; // pixels, height of a row
const HEAD = 64; // pixels, height of the heading
const BEYOND = 4; // rows that are made above and below the view
const BINS = 24;
const REST = 90; // milliseconds without scrolling before thumbnails are asked for

export class Gallery {
  /** @param board its counts, rows, columns, sorting, shown, `sort`, `show`, `filter` and `thumbs` */
  constructor(board) {
    this.board = board;
    this.made = new Map(); // position in the table → element
    this.active = 0; // position that the arrow keys move
    this.head = h("div", { class: "row head", role: "row", "aria-rowindex": 1 });
    this.space = h("div", { class: "space", role: "rowgroup" });
    this.root = h("div", { class: "gallery", role: "grid", tabindex: 0, "aria-label": "images, one a row",
      onscroll: () => this.scrolled(), onkeydown: (event) => this.key(event) }, this.head, this.space);
    new ResizeObserver(() => this.fill()).observe(this.root);
  }

  /** Show the board's rows from the first on. */
  update() {
    const { rows, columns, shown } = this.board;
    this.root.setAttribute("aria-rowcount", rows.length + 1);
    this.root.style.setProperty("--columns", columns.length);
    this.root.setAttribute("aria-colcount", columns.length + 1);
    this.space.style.height = `${rows.length * ROW}px`;
    this.active = Math.max(0, rows.indexOf(shown));
    const first = h("div", { role: "columnheader", class: "first" }, "image");
    this.head.replaceChildren(first, ...columns.map((column) => this.heading(column)));
    this.clear();
    this.root.scrollTop = 0;
    this.fill();
    this.thumbs();
  }

  clear() {
    for (const row of this.made.values()) row.remove();
    this.made.clear();
  }

  heading({ name, title, number, key }) {
    const { sorting } = this.board;
    const sorted = sorting.key === key;
    const arrow = sorted ? (sorting.down ? " ▾" : " ▴") : "";
    const button = h("button", { type: "button", title, "aria-label": `sort by ${title}`, onclick: () => this.board.sort(key) },
      `${name}${arrow}`);
    return h("div", { role: "columnheader", "aria-sort": sorted ? (sorting.down ? "descending" : "ascending") : "none" },
      button, this.histogram(number));
  }

  /** How the values are distributed; a drag filters by them, a click takes the filter away. */
  histogram(number) {
    const [low, high] = rangeOf(number.values), { filters } = this.board;
    const all = binned(number.values, low, high, BINS), most = Math.max(1, ...all);
    const [from, to] = filters.get(number.key)?.range ?? [low, high];
    const at = (bin) => low + ((high - low) * bin) / BINS;
    const bars = Array.from(all, (count, bin) => h("i", {
      class: (at(bin + 1) > from && at(bin) < to) || low === high ? "in" : "",
      style: `height: ${count ? Math.max(6, (100 * Math.sqrt(count)) / Math.sqrt(most)) : 0}%` }));
    const element = h("div", { class: "histogram", "aria-hidden": "true",
      title: `${number.label}: ${number.format(low)} to ${number.format(high)}; drag to filter` }, ...bars);
    const bin = (event) => {
      const box = element.getBoundingClientRect();
      return Math.min(BINS - 1, Math.max(0, Math.floor((BINS * (event.clientX - box.x)) / box.width)));
    };
    let first = null;
    element.addEventListener("pointerdown", (event) => {
      element.setPointerCapture(event.pointerId);
      first = bin(event);
    });
    const mark = (last) => bars.forEach((bar, b) =>
      bar.classList.toggle("in", b >= Math.min(first, last) && b <= Math.max(first, last)));
    element.addEventListener("pointermove", (event) => first !== null && mark(bin(event)));
    element.addEventListener("pointercancel", () => (first = null));
    element.addEventListener("pointerup", (event) => {
      if (first === null) return;
      const [a, b] = [Math.min(first, bin(event)), Math.max(first, bin(event))];
      first = null;
      const range = [a ? at(a) : low, b === BINS - 1 ? high : at(b + 1)];
      this.board.filter(number, a === b && filters.has(number.key) ? null : range);
    });
    return element;
  }

  /** Positions of the first and last row to make. */
  window() {
    const { scrollTop, clientHeight } = this.root;
    const last = Math.ceil((scrollTop + clientHeight - HEAD) / ROW) + BEYOND;
    return [Math.max(0, Math.floor(scrollTop / ROW) - BEYOND), Math.min(this.board.rows.length - 1, last)];
  }

  /** Make the rows in view and remove the others. */
  fill() {
    const [from, to] = this.window();
    for (const [position, row] of this.made) {
      if (position >= from && position <= to) continue;
      row.remove();
      this.made.delete(position);
    }
    for (let position = from; position <= to; position++) {
      if (!this.made.has(position)) this.made.set(position, this.row(position));
    }
    this.mark();
  }

  row(position) {
    const { board } = this, index = board.rows[position], id = board.data.images[index];
    const url = board.thumbs.get(index);
    const picture = url ? h("img", { src: url, alt: "", draggable: "false" }) : h("span", { class: "id" }, id);
    const cells = board.columns.map(({ number }) => {
      const value = number.values[index];
      return h("div", { role: "gridcell" }, Number.isNaN(value) ? "–" : number.format(value));
    });
    const row = h("div", { class: "row", role: "row", id: `${board.name}-${position}`, "aria-rowindex": position + 2,
      style: `top: ${position * ROW}px`, title: id, onclick: () => this.choose(position) },
      h("div", { role: "rowheader", class: "first", "aria-label": id }, picture), ...cells);
    row.classList.toggle("outside", !board.isInside(index));
    this.space.append(row);
    return row;
  }

  /** Mark the shown row and the active one. */
  mark() {
    const { board } = this;
    for (const [position, row] of this.made) {
      row.setAttribute("aria-selected", String(board.rows[position] === board.shown));
      row.classList.toggle("active", position === this.active);
    }
    this.root.setAttribute("aria-activedescendant", this.made.has(this.active) ? `${board.name}-${this.active}` : "");
  }

  choose(position) {
    this.active = position;
    this.board.show(this.board.rows[position]);
  }

  key(event) {
    if (event.target !== this.root) return;
    const last = this.board.rows.length - 1, page = Math.max(1, Math.floor((this.root.clientHeight - HEAD) / ROW) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -last, End: last };
    if (event.key in steps) {
      this.active = Math.min(last, Math.max(0, this.active + steps[event.key]));
      this.reveal();
    } else if (["Enter", " "].includes(event.key) && last >= 0) this.choose(this.active);
    else return;
    event.preventDefault();
  }

  /** Scroll to the active row. */
  reveal() {
    const top = this.active * ROW, { scrollTop, clientHeight } = this.root;
    if (top < scrollTop) this.root.scrollTop = top;
    else if (top + ROW > scrollTop + clientHeight - HEAD) this.root.scrollTop = top + ROW - clientHeight + HEAD;
    this.fill();
  }

  scrolled() {
    this.fill();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.thumbs(), REST);
  }

  /** Ask for the thumbnails of the rows in view. */
  thumbs() {
    const { rows, thumbs } = this.board, [from, to] = this.window();
    const missing = rows.slice(from, to + 1).filter((index) => !thumbs.has(index));
    if (missing.length) this.board.host.thumbs?.(Array.from(missing));
  }

  /** Thumbnails have come: make the rows that show them again. */
  arrived() {
    this.clear();
    this.fill();
  }
}
