/* The bar of the viewer: view, layers, opacity, swipe, outlines and stripes, the brush, zoom and photographs. */

import { h } from "./dom.js";
import { TOOLS } from "./painting.js";
import { Photograph } from "./photograph.js";

const MODES = {
  one: "one", swipe: "swipe", side: "side by side", flicker: "flicker", error: "errors", outcome: "TP, FP, FN",
  agreement: "agreement",
  paint: "you paint",
};

/** The modes that a scene allows. */
export function modesOf(layers) {
  const { layers: all, target } = layers.data;
  const several = all.length > 1;
  const allowed = {
    one: true, swipe: several, side: several, flicker: several, error: target !== null && layers.models > 0,
    outcome: target !== null && layers.models > 0, agreement: layers.models > 1, paint: target !== null,
  };
  return Object.keys(MODES).filter((mode) => allowed[mode]);
}

export class Controls {
  /** @param viewer the frame: its layers, painting, pointer, note, kernel and `set` */
  constructor(viewer) {
    const { layers, painting, pointer, note, kernel } = viewer;
    const { data } = layers;
    const set = (key, read) => (event) => viewer.set({ [key]: read(event.target) });
    const text = (input) => input.value, number = (input) => Number(input.value), checked = (input) => input.checked;
    const labelled = (name, element) => h("label", {}, name, element);
    const button = (name, onclick, label = null) => h("button", { type: "button", "aria-label": label, onclick }, name);
    const select = (key, name, read, options) => h("select", { "aria-label": name, onchange: set(key, read) }, ...options);
    const range = (key, name, max, step) =>
      h("input", { type: "range", min: 0, max, step, "aria-label": name, oninput: set(key, number) });
    const box = (key) => h("input", { type: "checkbox", onchange: set(key, checked) });
    const names = () => data.layers.map((layer, i) => h("option", { value: i }, layer.name));
    const modes = modesOf(layers).map((mode) => h("option", { value: mode }, MODES[mode]));
    this.inputs = { // those that hold a value of the state
      mode: select("mode", "view", text, modes), left: select("left", "left model", number, names()),
      right: select("right", "right model", number, names()), opacity: range("opacity", "opacity", 1, 0.01),
      swipe: range("swipe", "swipe", 1, 0.01), outline: box("outline"), hatch: box("hatch"),
      focus: select("focus", "class", number, data.classes.map(({ name }, k) => h("option", { value: k }, name))),
      pen: select("pen", "class to paint", number, painting.pens().map((k) => h("option", { value: k }, data.classes[k].name))),
      brush: range("brush", "brush size", Math.ceil(data.width / 25), 1),
      tool: select("tool", "tool", text, TOOLS.map((name) => h("option", { value: name }, name))),
    };
    const { mode, left, right, opacity, swipe, outline, hatch, focus, pen, brush, tool } = this.inputs;
    this.labelled = { left: labelled("left", left), right: labelled("right", right), swipe: labelled("swipe", swipe),
      outline: labelled("outlines", outline), hatch: labelled("stripes", hatch), focus: labelled("of", focus) };
    this.brushes = h("span", { class: "bar" }, labelled("class", pen), labelled("tool", tool), labelled("size", brush),
      button("undo", () => painting.undo()), button("redo", () => painting.redo()),
      button("start again", () => painting.clear()), button("save label map", () => painting.save()));
    const zoom = h("span", { class: "group" }, button("+", () => pointer.zoomBy(1.5), "zoom in"),
      button("−", () => pointer.zoomBy(1 / 1.5), "zoom out"), button("whole image", () => pointer.zoomBy(0)));
    this.photograph = kernel?.photo ? new Photograph(kernel, note) : null;
    this.root = h("div", { class: "bar", role: "group", "aria-label": "what is shown" },
      ...(this.photograph ? [this.photograph.button()] : []), labelled("view", mode), this.labelled.focus, this.labelled.left,
      this.labelled.right, labelled("opacity", opacity), this.labelled.swipe, this.labelled.outline, this.labelled.hatch,
      this.brushes, zoom);
  }

  /** Show the state, and only the controls that its mode uses. */
  update(state) {
    for (const [key, input] of Object.entries(this.inputs)) {
      if (input.type === "checkbox") input.checked = state[key];
      else input.value = state[key];
    }
    const { mode } = state;
    const painting = mode === "paint";
    this.labelled.right.hidden = !["swipe", "side", "flicker"].includes(mode);
    this.labelled.swipe.hidden = mode !== "swipe";
    this.labelled.left.hidden = painting || mode === "agreement";
    this.labelled.focus.hidden = mode !== "outcome";
    this.labelled.outline.hidden = this.labelled.hatch.hidden = painting || ["error", "outcome", "agreement"].includes(mode);
    this.brushes.hidden = !painting;
  }
}
