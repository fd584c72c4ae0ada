/* The viewer of label maps: an image, the predictions of several models and the target, composed in the browser. It needs
 * no library, no kernel and no network.
 *
 *   mount(element, data)   shows a scene in an element of a page; widget.js does the same for anywidget
 *
 * data = {
 *   width, height, image,                    image: a data: URL
 *   classes: [{ name, color: [r, g, b] }],   a label is an index into this list; any other value is void
 *   layers: [{ name, labels, iou }],         labels: width × height bytes, deflated (zlib), base64
 *                                            iou: of each class, null where there is none; or null
 *   target,                                  index of the target in layers, or null
 *   alt,                                     a description of the scene
 * }
 *
 * Opacity, swipe and zoom move canvases that are painted already, which is work of the browser's compositor. A canvas is
 * painted again when a class is switched or another model is chosen: one pass over its pixels.
 */

import { h, percent, rootOf, swatch } from "./dom.js";
import { Layers } from "./layers.js";
import { Painting } from "./painting.js";
import { Photograph } from "./photograph.js";
import { Pointer } from "./pointer.js";
import { Probe } from "./probe.js";
import { STYLE } from "./style.js";

const MODES = {
  one: "one", swipe: "swipe", side: "side by side", flicker: "flicker", error: "errors", agreement: "agreement",
  paint: "you paint",
};
const FLICKER = 700; // milliseconds
const START = {
  mode: "swipe", left: 0, right: 1, opacity: 0.65, swipe: 0.5, hidden: [], outline: false, hatch: false,
  pen: 0, brush: 3, erase: false,
};
const CHEAP = ["opacity", "swipe"]; // changes that need no canvas to be painted again

export class Viewer {
  /**
   * @param element where it appears
   * @param data see above
   * @param state the first view, see START
   * @param kernel { changed(state), probe(x, y), drawn(labels) }, and photo(name, bytes) where it takes photographs; or null
   */
  constructor(element, data, state = {}, kernel = null) {
    this.element = element;
    this.data = data;
    this.kernel = kernel;
    this.state = { ...START, right: Math.min(1, data.layers.length - 1), ...state };
    if (data.layers.length < 2 && !state.mode) this.state.mode = "one";
    this.layers = new Layers(data);
    this.pointer = new Pointer(this);
    this.painting = new Painting(this);
    this.probe = new Probe(this);
    this.paints = []; // milliseconds of each update, for measurements
    this.ready = this.open();
  }

  async open() {
    this.picture = new Image();
    this.picture.src = this.data.image;
    await Promise.all([this.layers.open(), this.picture.decode()]);
    this.build();
    this.update(true);
    return this;
  }

  /** The modes that this scene allows. */
  modes() {
    const { layers, target } = this.data;
    const several = layers.length > 1;
    const allowed = {
      one: true, swipe: several, side: several, flicker: several,
      error: target !== null && this.layers.models > 0, agreement: this.layers.models > 1, paint: target !== null,
    };
    return Object.keys(MODES).filter((mode) => allowed[mode]);
  }

  // Building

  build() {
    const { data } = this;
    const controls = this.controls();
    this.panes = [this.pane("left"), this.pane("right")];
    this.panels = h("div", { class: "panes", style: `--ratio: ${data.width / data.height}` },
      ...this.panes.map((pane) => pane.root));
    this.legend = h("div", { class: "legend", role: "group", "aria-label": "classes" });
    this.key = h("div", { class: "key" });
    this.readout = h("div", { class: "probe", "aria-live": "polite" },
      h("span", { class: "soft" }, "Point at a pixel, or move with the arrow keys, to see its predictions."));
    this.note = h("div", { class: "note", role: "alert" });
    const photograph = this.kernel?.photo ? new Photograph(this.kernel, this.note) : null;
    const zoom = h("span", { class: "group" },
      h("button", { type: "button", "aria-label": "zoom in", onclick: () => this.pointer.zoomBy(1.5) }, "+"),
      h("button", { type: "button", "aria-label": "zoom out", onclick: () => this.pointer.zoomBy(1 / 1.5) }, "−"),
      h("button", { type: "button", onclick: () => this.pointer.zoomBy(0) }, "whole image"));
    const bar = h("div", { class: "bar", role: "group", "aria-label": "what is shown" },
      ...(photograph ? [photograph.button()] : []), ...controls, zoom);
    this.root = rootOf("seglab-viewer", STYLE, bar, this.note,
      h("div", { class: "main" }, this.panels, h("div", { class: "beside" }, this.legend, this.key, this.readout)));
    photograph?.listen(this.root);
    this.element.replaceChildren(this.root);
    this.buildLegend();
  }

  /** The controls in the bar; `inputs` are those that hold a value of the state. */
  controls() {
    const { data } = this;
    const set = (key, read) => (event) => this.set({ [key]: read(event.target) });
    const text = (input) => input.value, number = (input) => Number(input.value), checked = (input) => input.checked;
    const labelled = (name, element) => h("label", {}, name, element);
    const select = (key, name, read, options) => h("select", { "aria-label": name, onchange: set(key, read) }, ...options);
    const range = (key, name, max, step) =>
      h("input", { type: "range", min: 0, max, step, "aria-label": name, oninput: set(key, number) });
    const box = (key) => h("input", { type: "checkbox", onchange: set(key, checked) });
    const layers = () => data.layers.map((layer, i) => h("option", { value: i }, layer.name));
    const modes = this.modes().map((mode) => h("option", { value: mode }, MODES[mode]));
    this.inputs = {
      mode: select("mode", "view", text, modes), left: select("left", "left model", number, layers()),
      right: select("right", "right model", number, layers()), opacity: range("opacity", "opacity", 1, 0.01),
      swipe: range("swipe", "swipe", 1, 0.01), outline: box("outline"), hatch: box("hatch"),
      pen: select("pen", "class to paint", number, this.painting.pens()),
      brush: range("brush", "brush size", Math.ceil(data.width / 25), 1), erase: box("erase"),
    };
    const { mode, left, right, opacity, swipe, outline, hatch, pen, brush, erase } = this.inputs;
    this.labelled = { left: labelled("left", left), right: labelled("right", right), swipe: labelled("swipe", swipe),
      outline: labelled("outlines", outline), hatch: labelled("stripes", hatch) };
    this.brushes = h("span", { class: "bar" }, labelled("class", pen), labelled("brush", brush), labelled("erase", erase),
      h("button", { type: "button", onclick: () => this.painting.undo() }, "undo"),
      h("button", { type: "button", onclick: () => this.painting.clear() }, "start again"));
    return [labelled("view", mode), this.labelled.left, this.labelled.right, labelled("opacity", opacity),
      this.labelled.swipe, this.labelled.outline, this.labelled.hatch, this.brushes];
  }

  pane(side) {
    const { width, height, alt } = this.data;
    const canvas = (name = "") => h("canvas", { width, height, class: name, "aria-hidden": "true" });
    const image = canvas(), overs = [canvas("over"), canvas("over")];
    image.getContext("2d").drawImage(this.picture, 0, 0, width, height);
    const cross = h("div", { class: "cross" });
    const stage = h("div", { class: "stage" }, image, ...overs, cross);
    const handle = h("div", { class: "handle", style: "display: none" });
    const tags = [h("span", { class: "tag l" }), h("span", { class: "tag r" })];
    const root = h("div", {
      class: "pane", tabindex: side === "left" ? 0 : -1, role: "application",
      "aria-label": `${alt || "image"}. Arrow keys move the probe, plus and minus zoom.`, ...this.pointer.listeners,
    }, stage, handle, ...tags);
    root.addEventListener("wheel", (event) => this.pointer.wheel(event), { passive: false });
    return { root, stage, overs, cross, handle, tags };
  }

  buildLegend() {
    const { classes } = this.data;
    this.buttons = classes.map(({ name, color }, k) => {
      const value = h("span", { class: "v" });
      const button = h("button", { type: "button", "aria-pressed": "true", title: name, onclick: () => this.toggle(k) },
        swatch(color), h("span", { class: "n" }, name), value);
      return { button, value };
    });
    const all = h("button", { type: "button", onclick: () => this.set({ hidden: [] }) }, "all");
    const none = h("button", { type: "button", onclick: () => this.set({ hidden: classes.map((_, k) => k) }) }, "none");
    this.legend.replaceChildren(...this.buttons.map(({ button }) => button), h("span", { class: "group" }, all, none));
  }

  // State

  /** Change the state; `notify` the kernel unless the change came from it. */
  set(change, notify = true) {
    this.state = { ...this.state, ...change };
    this.update(Object.keys(change).some((key) => !CHEAP.includes(key)));
    if (notify) this.kernel?.changed(this.state);
  }

  toggle(k) {
    const { hidden } = this.state;
    this.set({ hidden: hidden.includes(k) ? hidden.filter((i) => i !== k) : [...hidden, k] });
  }

  update(repaint) {
    const begin = performance.now();
    const { state, inputs } = this;
    for (const [key, input] of Object.entries(inputs)) {
      if (input.type === "checkbox") input.checked = state[key];
      else input.value = state[key];
    }
    const { mode } = state;
    const pair = ["swipe", "side", "flicker"].includes(mode), painting = mode === "paint";
    this.labelled.right.hidden = !pair;
    this.labelled.swipe.hidden = mode !== "swipe";
    this.labelled.left.hidden = painting || mode === "agreement";
    this.labelled.outline.hidden = this.labelled.hatch.hidden = painting || ["error", "agreement"].includes(mode);
    this.brushes.hidden = !painting;
    this.explain(mode);
    if (repaint) this.repaint(pair);
    this.compose(mode);
    this.pointer.place();
    this.nameLayers(pair);
    this.flicker(mode === "flicker");
    this.root.setAttribute("data-mode", mode);
    this.paints.push(performance.now() - begin);
  }

  /** Paint the canvases that the mode shows. */
  repaint(pair) {
    const { mode, left, right } = this.state;
    const [first, second] = this.panes;
    const kind = ["error", "agreement", "paint"].includes(mode) ? mode : "label";
    this.layers.paint(first.overs[0], kind, left, this.state);
    if (kind === "paint") this.painting.score();
    else if (this.painting.shown) this.probe.show();
    if (pair) this.layers.paint(mode === "side" ? second.overs[0] : first.overs[1], "label", right, this.state);
    this.updateLegend();
  }

  /** Opacity and clipping of the canvases. */
  compose(mode) {
    const [first, second] = this.panes;
    const [left, right] = first.overs;
    second.root.style.display = mode === "side" ? "" : "none";
    this.panels.classList.toggle("side", mode === "side");
    left.style.opacity = right.style.opacity = second.overs[0].style.opacity = this.state.opacity;
    const cut = 100 * this.state.swipe;
    left.style.clipPath = mode === "swipe" ? `inset(0 ${100 - cut}% 0 0)` : "";
    right.style.clipPath = mode === "swipe" ? `inset(0 0 0 ${cut}%)` : "";
    right.style.display = ["swipe", "flicker"].includes(mode) ? "" : "none";
  }

  /** Fractions of pixels and IoU beside the classes; which classes are hidden. */
  updateLegend() {
    const { data, layers, state } = this;
    const fractions = layers.fractions(state.left), { iou } = data.layers[state.left];
    this.buttons.forEach(({ button, value }, k) => {
      button.setAttribute("aria-pressed", String(!state.hidden.includes(k)));
      const quality = iou && iou[k] !== null && iou[k] !== undefined ? ` · IoU ${iou[k].toFixed(2)}` : "";
      value.textContent = `${percent(fractions[k])}${quality}`;
      button.hidden = !data.layers.some((_, index) => layers.fractions(index)[k] > 0);
    });
  }

  /** The key of a map that shows no classes. */
  explain(mode) {
    const rows = this.layers.meanings(mode);
    this.key.replaceChildren(...rows.map(([color, text]) => h("span", { class: "entry" }, swatch(color), text)));
    this.key.hidden = !rows.length;
    this.legend.hidden = Boolean(rows.length) || mode === "paint";
  }

  nameLayers(pair) {
    const { mode } = this.state;
    const [left, right] = [this.data.layers[this.state.left].name, this.data.layers[this.state.right].name];
    const [first, second] = this.panes;
    const names = { error: `errors of ${left}`, agreement: "disagreement of the models", paint: "your drawing" };
    first.tags[0].textContent = names[mode] ?? left;
    first.tags[1].textContent = pair && mode === "swipe" ? right : "";
    second.tags[0].textContent = right;
    for (const tag of [...first.tags, ...second.tags]) tag.hidden = !tag.textContent;
  }

  flicker(on) {
    clearInterval(this.timer);
    const [left, right] = this.panes[0].overs;
    left.style.visibility = right.style.visibility = "";
    if (!on) return;
    const show = (second) => {
      left.style.visibility = second ? "hidden" : "";
      right.style.visibility = second ? "" : "hidden";
      this.panes[0].tags[0].textContent = this.data.layers[second ? this.state.right : this.state.left].name;
    };
    let second = false;
    show(second);
    this.timer = setInterval(() => show((second = !second)), FLICKER);
  }

  close() {
    clearInterval(this.timer);
    this.probe.close();
  }
}

/** A viewer in an element of a page; a promise of it. */
export function mount(element, data, state = {}) {
  element.viewer = new Viewer(element, data, state);
  return element.viewer.ready;
}
