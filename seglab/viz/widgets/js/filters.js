/* The bar of a board: how many images are listed, the filters as buttons that take them away, and a filter by any number. */

import { h } from "./dom.js";
import { rangeOf } from "./numbers.js";

export class Filters {
  /** @param board its rows, filters, only, question, numbers, `filter` and `update` */
  constructor(board) {
    this.board = board;
    this.counted = h("strong", { class: "counted" });
    this.name = h("span", { class: "name" });
    this.chips = h("span", { class: "chips" });
    this.pick = h("select", { "aria-label": "number to filter by", onchange: () => this.read() });
    this.bounds = ["least", "largest"].map((name) =>
      h("input", { type: "number", step: "any", "aria-label": `${name} value`, onchange: () => this.set() }));
    this.root = h("div", { class: "filters" }, h("div", { class: "line", "aria-live": "polite" }, this.counted, this.chips, this.name),
      h("div", { class: "line" }, "filter by ", this.pick,
        h("span", { class: "bounds" }, " from ", this.bounds[0], " to ", this.bounds[1])));
  }

  update() {
    const { filters, only, question } = this.board;
    this.count();
    const chip = (text, remove) => h("button", { type: "button", class: "chip", "aria-label": `remove the filter: ${text}`,
      onclick: remove }, text, h("span", { "aria-hidden": "true" }, " ×"));
    const chips = [...filters].map(([key, { label, number, range }]) => {
      const text = range ? `${label}: ${number.format(range[0])} to ${number.format(range[1])}` : label;
      return chip(text, () => (filters.delete(key), this.board.update()));
    });
    if (only) chips.unshift(chip(question, () => ((this.board.only = false), this.board.update())));
    this.chips.replaceChildren(...chips);
    const before = this.pick.value;
    const options = this.board.numbers().map(({ spec, label }) => h("option", { value: JSON.stringify(spec) }, label));
    this.pick.replaceChildren(...options);
    this.pick.value = before;
    if (this.pick.selectedIndex < 0) this.pick.selectedIndex = 0;
    this.read();
  }

  /** The number of listed images, and the name of the shown one. */
  count() {
    const { rows, data, shown } = this.board;
    this.counted.textContent = `${rows.length.toLocaleString("en")} of ${data.images.length.toLocaleString("en")} images`;
    const dimmed = this.board.inside && this.board.inside.size < data.images.length ? " · dimmed: not in this page" : "";
    this.name.textContent = shown < 0 ? "" : `shown: ${data.images[shown]}${dimmed}`;
  }

  get number() {
    return this.board.number(JSON.parse(this.pick.value));
  }

  /** Show the bounds of the picked number. */
  read() {
    const { key, values, format } = this.number, range = this.board.filters.get(key)?.range;
    this.bounds.forEach((input, i) => {
      input.value = range ? +range[i].toPrecision(6) : "";
      input.placeholder = format(rangeOf(values)[i]);
    });
  }

  set() {
    const number = this.number, all = rangeOf(number.values);
    const range = this.bounds.map((input, i) => (input.value === "" ? all[i] : Number(input.value)));
    this.board.filter(number, this.bounds.every((input) => input.value === "") ? null : range);
  }
}
