/* Fills the scenes and boards of a static page, and makes its tables sortable. */

import { h, theme } from "./dom.js";
import { mountBoard } from "./inside.js";
import { sortable } from "./sorting.js";
import { mount } from "./viewer.js";

if (document.body.classList.contains("seglab-page")) document.head.append(h("style", {}, theme(".seglab-page")));
document.documentElement.classList.add("live"); // the still pictures behind the viewers are hidden
for (const place of document.querySelectorAll(".seglab-scene")) {
  const [first, ...others] = [...place.querySelectorAll("script")];
  const { data, state } = JSON.parse(first.textContent);
  const texts = new Map(others.map((part) => [Number(part.dataset.image), part.textContent]));
  if ("counts" in data) mountBoard(place, data, texts);
  else mount(place, data, state);
}
for (const table of document.querySelectorAll(".table table")) sortable(table);
