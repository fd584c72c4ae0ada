/* Fills the scenes of a static page. */

import { h, theme } from "./dom.js";
import { mount } from "./viewer.js";

if (document.body.classList.contains("seglab-page")) document.head.append(h("style", {}, theme(".seglab-page")));
document.documentElement.classList.add("live"); // the still pictures behind the viewers are hidden
for (const place of document.querySelectorAll(".seglab-scene")) {
  const { data, state } = JSON.parse(place.querySelector("script").textContent);
  mount(place, data, state);
}
