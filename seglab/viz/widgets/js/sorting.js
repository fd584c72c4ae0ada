/* Tables of a static page that a click on a heading sorts; another click turns the order round. */

import { h } from "./dom.js";

/** The number that a text begins with, as "0.81", "1,234" or "0.78 to 0.84"; NaN without any. */
const leading = (text) => parseFloat(text.replaceAll(",", ""));

/** Numbers by value, texts by letters, missing values last. @param sign 1 ascending, -1 descending */
export function ordered(texts, sign) {
  const numbers = texts.map(leading);
  const numeric = texts.every((text, i) => ["", "–", "NaN"].includes(text) || !Number.isNaN(numbers[i]));
  const compare = (a, b) => {
    if (!numeric) return sign * texts[a].localeCompare(texts[b]);
    if (Number.isNaN(numbers[a]) || Number.isNaN(numbers[b])) return Number.isNaN(numbers[a]) - Number.isNaN(numbers[b]);
    return sign * (numbers[a] - numbers[b]);
  };
  return [...texts.keys()].sort((a, b) => compare(a, b) || a - b);
}

/** Make buttons of the headings in the first row. The row "mean" stays last. */
export function sortable(table) {
  const body = table.tBodies[0], head = table.tHead?.rows[0];
  if (!body || !head) return;
  [...head.cells].forEach((cell, column) => {
    const button = h("button", { type: "button", class: "sort", title: "sort by this column", onclick: () => {
      const sign = cell.getAttribute("aria-sort") === "descending" ? 1 : -1;
      for (const other of head.cells) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const rows = [...body.rows].filter((row) => row.cells[0].textContent.trim() !== "mean");
      const last = [...body.rows].filter((row) => !rows.includes(row));
      const order = ordered(rows.map((row) => row.cells[column].textContent.trim()), sign);
      body.append(...order.map((i) => rows[i]), ...last);
    } }, ...cell.childNodes);
    cell.replaceChildren(button);
  });
}
