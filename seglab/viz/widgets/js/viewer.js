/* The viewer of label maps: an image, the predictions of several models and the target, composed in the browser. It needs
 * no library, no kernel and no network.
 *
 *   mount(element, data)   shows a scene in an element of a page; widget.js does the same for anywidget
 *
 * data = {
 *   width, height, image,                    image: a data: URL
 *   classes: [{ name, color: [r, g, b] }],   a label is an index into this list; any other value is void
 *   evaluated: [bool],                       of each class; false where a model lacks it
 *   layers: [{ name, labels, iou }],         labels: width × height bytes, deflated (zlib), base64
 *                                            iou: of each class, null where there is none; or null
 *   target,                                  index of the target in layers, or null
 *   alt,                                     a description of the scene
 * }
 *
 * The state is that of `START`; `region` is a box [left, top, right, bottom] in pixels to zoom to, or null.
 *
 * Opacity, swipe and zoom move canvases that are painted already, which is work of the browser's compositor. A canvas is
 * painted again when a class is switched or another model is chosen: one pass over its pixels.
 */

import { Controls, modesOf } from "./controls.js";
import { h, rootOf } from "./dom.js";
import { Layers } from "./layers.js";
import { Legend } from "./legend.js";
import { Painting } from "./painting.js";
import { Pointer } from "./pointer.js";
import { Probe } from "./probe.js";
import { STYLE } from "./style.js";

const PAIRS = ["swipe", "side", "flicker"]; // modes that show two layers
const FLICKER = 700; // milliseconds
const START = {
  mode: "swipe", left: 0, right: 1, opacity: 0.65, swipe: 0.5, hidden: [], outline: false, hatch: false,
  focus: 0, pen: 0, brush: 3, tool: "brush", region: null,
};
const CHEAP = ["opacity", "swipe"]; // changes that need no canvas to be painted again

export class Viewer {
  /**
   * @param element where it appears
   * @param data see above
   * @param state the first view, see START
   * @param kernel { changed(state), probe(x, y), drawn(labels) }, and photo(name, bytes) and mostBytes where it takes photographs; or null
   */
  constructor(element, data, state = {}, kernel = null) {
    this.element = element;
    this.data = data;
    this.kernel = kernel;
    this.state = { ...START, right: Math.min(1, data.layers.length - 1), ...state };
    this.layers = new Layers(data);
    if (!modesOf(this.layers).includes(this.state.mode)) this.state.mode = data.layers.length > 1 ? "swipe" : "one";
    this.pointer = new Pointer(this);
    this.painting = new Painting(this);
    this.paints = []; // milliseconds of each update, for measurements
    this.ready = this.open();
  }

  async open() {
    this.picture = new Image();
    this.picture.src = this.data.image;
    await Promise.all([this.layers.open(), this.picture.decode()]);
    this.build();
    this.update(true);
    this.pointer.zoomTo(this.state.region);
    return this;
  }

  // Building

  build() {
    const { data } = this;
    this.note = h("div", { class: "note", role: "alert" });
    this.live = h("div", { class: "spoken", "aria-live": "polite" }); // read out by screen readers, not seen
    this.controls = new Controls(this);
    this.legend = new Legend(this);
    this.probe = new Probe(this);
    this.panes = [this.pane("left"), this.pane("right")];
    this.panels = h("div", { class: "panes", style: `--ratio: ${data.width / data.height}` },
      ...this.panes.map((pane) => pane.root));
    const beside = h("div", { class: "beside" }, this.legend.root, this.legend.key, this.painting.root);
    this.root = rootOf("seglab-viewer", STYLE, this.controls.root, this.note, this.live,
      h("div", { class: "main" }, this.panels, beside));
    (this.kernel ? this.root : beside).append(this.probe.root); // a kernel adds columns, which need the whole width
    this.controls.photograph?.listen(this.root);
    this.element.replaceChildren(this.root);
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

  // State

  /** Change the state; `notify` the kernel unless the change came from it. */
  set(change, notify = true) {
    const moved = "region" in change && String(change.region) !== String(this.state.region);
    this.state = { ...this.state, ...change };
    this.update(Object.keys(change).some((key) => !CHEAP.includes(key)));
    if (moved) this.pointer.zoomTo(this.state.region);
    if (notify) this.kernel?.changed(this.state);
  }

  /** Have screen readers announce a text. */
  say(text) {
    this.live.textContent = text;
  }

  update(repaint) {
    const begin = performance.now();
    const { mode } = this.state;
    const pair = PAIRS.includes(mode);
    this.controls.update(this.state);
    this.legend.explain(mode);
    this.probe.root.hidden = mode === "paint"; // it would show the target
    this.pointer.gestures();
    if (mode !== "paint") this.painting.root.replaceChildren();
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
    const kind = ["error", "outcome", "agreement", "paint"].includes(mode) ? mode : "label";
    this.layers.paint(first.overs[0], kind, left, this.state);
    if (kind === "paint") this.painting.count();
    if (pair) this.layers.paint(mode === "side" ? second.overs[0] : first.overs[1], "label", right, this.state);
    this.legend.update(pair ? [left, right] : [left]);
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

  nameLayers(pair) {
    const { mode } = this.state;
    const [left, right] = [this.data.layers[this.state.left].name, this.data.layers[this.state.right].name];
    const [first, second] = this.panes;
    const focus = this.data.classes[this.state.focus]?.name;
    const names = { error: `errors of ${left}`, outcome: `${focus} of ${left}`, agreement: "disagreement of the models", paint: "your drawing" };
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
    this.probe?.close();
  }
}

/** A viewer in an element of a page; a promise of it. */
export function mount(element, data, state = {}) {
  element.viewer = new Viewer(element, data, state);
  return element.viewer.ready;
}
