/* A viewer of label maps: an image, what several models say of each of its pixels, and the target, composed in the
 * browser. It needs nothing else: no library, no kernel, no network.
 *
 *   mount(element, data)          a page of its own, or of a report
 *   export default { render }     the same as a widget (anywidget), where a kernel answers what a label map cannot,
 *                                 and takes photographs that are dropped in
 *
 * data = {
 *   width, height, image,                        image: a data: URL
 *   classes: [{ name, color: [r, g, b] }],       a label is a place in this list; any other value is void
 *   layers: [{ name, labels, iou }],             labels: width × height bytes, deflated (zlib), base64
 *                                                iou: of each class, null where there is none; or null
 *   target,                                      place of the target in layers, or null
 *   alt,                                         what there is to see, in words
 * }
 *
 * What is fast is done by the browser's compositor: opacity, the swipe and the zoom move canvases that are painted
 * already. A canvas is painted anew when a class is switched or another model chosen: one pass over its pixels, each
 * looked up in a table of colours.
 */

const VOID = 255;
const EDGE = 256; // added to the label of a pixel at the border of its region
const MODES = {
  one: "one",
  swipe: "swipe",
  side: "side by side",
  flicker: "flicker",
  error: "errors",
  agreement: "agreement",
  paint: "you paint",
};
const FLICKER = 700; // milliseconds
const CHUNK = 1 << 20; // bytes of a photograph in one message: servers close connections at large ones
const START = {
  mode: "swipe", left: 0, right: 1, opacity: 0.65, swipe: 0.5, hidden: [], outline: false, hatch: false,
  pen: 0, brush: 3, erase: false,
};

// Pixels -----------------------------------------------------------------------------------------------------------

async function inflate(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** label, plus EDGE where a neighbour on the right or below has another one: Uint16Array */
function withEdges(labels, width, height) {
  const codes = new Uint16Array(labels);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (x + 1 < width && labels[i] !== labels[i + 1]) (codes[i] |= EDGE), (codes[i + 1] |= EDGE);
      if (y + 1 < height && labels[i] !== labels[i + width]) (codes[i] |= EDGE), (codes[i + width] |= EDGE);
    }
  }
  return codes;
}

/** 0 where the label is the target's, 1 where not, VOID where the target is void */
function errorsOf(labels, target) {
  return labels.map((label, i) => (target[i] === VOID ? VOID : Number(label !== target[i])));
}

/** how many different things the layers say of each pixel, less one */
function dissent(layers) {
  const [first, ...others] = layers;
  return first.map((label, i) => {
    const said = new Set([label]);
    for (const layer of others) said.add(layer[i]);
    return said.size - 1;
  });
}

/** IoU of a class in a drawing, where the target is not void; null where it is in neither */
function iouOf(k, drawing, target) {
  let both = 0, either = 0;
  for (let i = 0; i < target.length; i++) {
    const drawn = drawing[i] === k, there = target[i] === k;
    if (target[i] === VOID || !(drawn || there)) continue;
    either++;
    if (drawn && there) both++;
  }
  return either ? both / either : null;
}

// What the maps that show no classes are painted with. Agreement: from pale, two opinions, to violet, six and more.
const WRONG = [[[255, 255, 255], 140, "right"], [[209, 73, 91], 255, "wrong"]];
const OPINIONS = [[252, 253, 191], [254, 159, 109], [222, 73, 104], [140, 41, 129], [59, 15, 112]];
const NUMBERS = ["two", "three", "four", "five", "six or more"];

const rgba = (r, g, b, a = 255) => ((a << 24) | (b << 16) | (g << 8) | r) >>> 0; // as little-endian memory has it

/** A stripe of eight kinds for each class, so that colours alone need not tell them apart. */
const STRIPES = [
  () => false,
  (x, y) => y % 8 < 2,
  (x) => x % 8 < 2,
  (x, y) => (x + y) % 8 < 2,
  (x, y) => (x - y + 8) % 8 < 2,
  (x, y) => x % 8 < 2 || y % 8 < 2,
  (x, y) => (x + y) % 8 < 2 || (x - y + 8) % 8 < 2,
  (x, y) => x % 4 < 1 && y % 4 < 1,
];

// The view ---------------------------------------------------------------------------------------------------------

const STYLE = `
.seglab-viewer { --ink: #1f2933; --soft: #62707d; --line: #d5dbe1; --paper: #fff; --accent: #30638e; color: var(--ink);
  font: 13px/1.45 system-ui, "Segoe UI", sans-serif; background: var(--paper); max-width: 100%; }
@media (prefers-color-scheme: dark) { .seglab-viewer:not(.light) { --ink: #e6eaee; --soft: #9aa7b3; --line: #3b4650;
  --paper: #161b20; --accent: #7fb2dd; } }
[data-jp-theme-light="false"] .seglab-viewer, .seglab-viewer.dark { --ink: #e6eaee; --soft: #9aa7b3; --line: #3b4650;
  --paper: #161b20; --accent: #7fb2dd; }
.seglab-viewer * { box-sizing: border-box; }
.seglab-viewer [hidden] { display: none !important; }
.seglab-viewer .bar { display: flex; flex-wrap: wrap; gap: .35rem .9rem; align-items: center; padding: .3rem 0 .5rem; }
.seglab-viewer label { display: inline-flex; gap: .35rem; align-items: center; color: var(--soft); }
.seglab-viewer select, .seglab-viewer button { font: inherit; color: var(--ink); background: var(--paper);
  border: 1px solid var(--line); border-radius: 5px; padding: .15rem .45rem; max-width: 14rem; }
.seglab-viewer button { cursor: pointer; }
.seglab-viewer :focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.seglab-viewer input[type=range] { accent-color: var(--accent); width: 7.5rem; }
.seglab-viewer .main { display: flex; flex-wrap: wrap; gap: .6rem 1.2rem; align-items: flex-start; }
.seglab-viewer .panes { display: flex; gap: 4px; flex: 1 1 26rem; min-width: 0; max-width: max(18rem, calc(66vh * var(--ratio))); }
.seglab-viewer .panes.side { flex-basis: 100%; max-width: max(36rem, calc(132vh * var(--ratio))); }
.seglab-viewer .group { display: inline-flex; gap: .25rem; }
.seglab-viewer .pane { position: relative; flex: 1 1 0; min-width: 0; overflow: hidden; touch-action: none;
  cursor: crosshair; border-radius: 4px; background: #0003; }
.seglab-viewer .stage { position: relative; transform-origin: 0 0;
  transform: translate(var(--x, 0), var(--y, 0)) scale(var(--z, 1)); }
.seglab-viewer canvas { display: block; width: 100%; image-rendering: pixelated; }
.seglab-viewer canvas.over { position: absolute; inset: 0; height: 100%; }
.seglab-viewer .handle { position: absolute; top: 0; bottom: 0; width: 2px; background: #fff; box-shadow: 0 0 3px #000;
  pointer-events: none; }
.seglab-viewer .cross { position: absolute; width: 9px; height: 9px; margin: -4.5px; border: 1.5px solid #fff;
  box-shadow: 0 0 2px #000, inset 0 0 2px #000; border-radius: 50%; pointer-events: none; display: none; }
.seglab-viewer .tag { position: absolute; top: 6px; padding: 0 .4rem; border-radius: 4px; background: #000a; color: #fff;
  font-size: 12px; pointer-events: none; max-width: 45%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.seglab-viewer .tag.l { left: 6px; } .seglab-viewer .tag.r { right: 6px; }
.seglab-viewer .beside { display: flex; flex-wrap: wrap; gap: .6rem 1.6rem; flex: 1 1 15rem; min-width: 0;
  align-items: flex-start; }
.seglab-viewer .legend { display: grid; grid-template-columns: repeat(auto-fill, minmax(12.5rem, 1fr)); gap: 2px 8px;
  flex: 1 1 13rem; }
.seglab-viewer .legend button { display: flex; gap: .45rem; align-items: center; border-color: transparent;
  text-align: left; max-width: none; padding: .1rem .3rem; }
.seglab-viewer .legend button[aria-pressed=false] { opacity: .4; text-decoration: line-through; }
.seglab-viewer .legend .group button { border-color: var(--line); }
.seglab-viewer .key { display: flex; flex-direction: column; gap: .3rem; }
.seglab-viewer .key .entry { display: flex; gap: .5rem; align-items: center; }
.seglab-viewer .legend .n { flex: 1; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.seglab-viewer .legend .v { color: var(--soft); font-variant-numeric: tabular-nums; }
.seglab-viewer .swatch { flex: none; width: 14px; height: 14px; border: 1px solid #0004; border-radius: 3px;
  display: inline-block; vertical-align: -2px; }
.seglab-viewer .probe { flex: 1 1 15rem; min-height: 4.5rem; }
.seglab-viewer .probe table { border-collapse: collapse; }
.seglab-viewer .probe td { padding: .05rem .8rem .05rem 0; border: 0; text-align: left; background: none; }
.seglab-viewer .soft { color: var(--soft); }
.seglab-viewer .score td { padding: .08rem .6rem .08rem 0; vertical-align: middle; }
.seglab-viewer .score .meter { display: inline-block; width: 9rem; height: .65rem; background: var(--line);
  border-radius: 3px; overflow: hidden; }
.seglab-viewer .score .meter i { display: block; height: 100%; }
.seglab-viewer .number { font-variant-numeric: tabular-nums; }
.seglab-viewer.dropping .panes { outline: 3px dashed var(--accent); outline-offset: 2px; }
.seglab-viewer input.file { position: absolute; width: 1px; height: 1px; opacity: 0; }
.seglab-viewer label.photo { color: var(--ink); border: 1px solid var(--line); border-radius: 5px; padding: .15rem .45rem;
  cursor: pointer; }
.seglab-viewer label.photo:focus-within { outline: 2px solid var(--accent); outline-offset: 1px; }
.seglab-viewer .note:empty { display: none; }
@media (max-width: 34rem) { .seglab-viewer .panes.side { flex-direction: column; }
  .seglab-viewer .panes.side .pane { flex: none; width: 100%; } }
`;

/** An element with attributes and children; text is only text. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  // In JupyterLab keys mean other things, unless what has the focus asks to have them for itself.
  if (["input", "select", "button"].includes(tag) || "tabindex" in attributes) element.dataset.lmSuppressShortcuts = "true";
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const percent = (share) => (share >= 0.0995 ? `${Math.round(100 * share)} %` : `${(100 * share).toFixed(1)} %`);

class Viewer {
  /**
   * @param element where it appears
   * @param data see above
   * @param state what is to be seen at first, see START
   * @param kernel { changed(state), probe(x, y), drawn(labels) }, and photo(name, bytes) where it takes photographs;
   *               if there is one
   */
  constructor(element, data, state = {}, kernel = null) {
    this.element = element;
    this.data = data;
    this.kernel = kernel;
    this.state = { ...START, right: Math.min(1, data.layers.length - 1), ...state };
    if (data.layers.length < 2 && !state.mode) this.state.mode = "one";
    this.zoom = { x: 0, y: 0, z: 1 };
    this.at = null; // the probed pixel
    this.drawing = new Uint8Array(data.width * data.height).fill(VOID); // what the reader has painted
    this.undone = []; // what it was before each stroke
    this.paints = []; // milliseconds of each paint, for whoever measures
    this.ready = this.open();
  }

  async open() {
    const { data } = this;
    this.picture = new Image();
    this.picture.src = data.image;
    const labels = Promise.all(data.layers.map((layer) => inflate(layer.labels)));
    [this.labels] = await Promise.all([labels, this.picture.decode()]);
    this.codes = new Map();
    this.build();
    this.update(true);
    return this;
  }

  // What is derived from label maps, when it is first needed.
  codesOf(kind, index) {
    const key = `${kind} ${index}`;
    if (!this.codes.has(key)) {
      const { width, height, target } = this.data;
      const labels = this.labels[index];
      const made =
        kind === "error"
          ? errorsOf(labels, this.labels[target])
          : kind === "agreement"
            ? dissent(this.labels.filter((_, i) => i !== target))
            : withEdges(labels, width, height);
      this.codes.set(key, made);
    }
    return this.codes.get(key);
  }

  sharesOf(index) {
    const key = `shares ${index}`;
    if (!this.codes.has(key)) {
      const counts = new Array(256).fill(0);
      for (const label of this.labels[index]) counts[label]++;
      this.codes.set(key, counts.map((count) => count / this.labels[index].length));
    }
    return this.codes.get(key);
  }

  modes() {
    const models = this.data.layers.length - (this.data.target === null ? 0 : 1);
    return Object.keys(MODES).filter(
      (mode) =>
        mode === "one" ||
        (mode === "error" && this.data.target !== null && models > 0) ||
        (mode === "agreement" && models > 1) ||
        (mode === "paint" && this.data.target !== null) ||
        (["swipe", "side", "flicker"].includes(mode) && this.data.layers.length > 1),
    );
  }

  // Building -------------------------------------------------------------------------------------------------------

  build() {
    const { data, state } = this;
    const layers = () => data.layers.map((layer, i) => h("option", { value: i }, layer.name));
    const control = (name, element) => h("label", {}, name, element);
    const set = (key, read) => (event) => this.set({ [key]: read(event.target) });
    const number = (input) => Number(input.value);
    const checked = (input) => input.checked;
    const range = (key, name) =>
      h("input", { type: "range", min: 0, max: 1, step: 0.01, "aria-label": name, oninput: set(key, number) });
    this.inputs = {
      mode: h("select", { "aria-label": "view", onchange: set("mode", (input) => input.value) },
        ...this.modes().map((mode) => h("option", { value: mode }, MODES[mode]))),
      left: h("select", { "aria-label": "left model", onchange: set("left", number) }, ...layers()),
      right: h("select", { "aria-label": "right model", onchange: set("right", number) }, ...layers()),
      opacity: range("opacity", "opacity"),
      swipe: range("swipe", "swipe"),
      outline: h("input", { type: "checkbox", onchange: set("outline", checked) }),
      hatch: h("input", { type: "checkbox", onchange: set("hatch", checked) }),
      pen: h("select", { "aria-label": "class to paint", onchange: set("pen", number) }, ...this.pens()),
      brush: h("input", { type: "range", min: 0, max: Math.ceil(data.width / 25), step: 1, "aria-label": "brush size",
        oninput: set("brush", number) }),
      erase: h("input", { type: "checkbox", onchange: set("erase", checked) }),
    };
    const { mode, left, right, opacity, swipe, outline, hatch, pen, brush, erase } = this.inputs;
    this.labelled = { left: control("left", left), right: control("right", right), swipe: control("swipe", swipe),
      outline: control("outlines", outline), hatch: control("stripes", hatch) };
    this.brushes = h("span", { class: "bar" }, control("class", pen), control("brush", brush), control("erase", erase),
      h("button", { type: "button", onclick: () => this.undo() }, "undo"),
      h("button", { type: "button", onclick: () => this.startAgain() }, "start again"));
    const bar = h("div", { class: "bar", role: "group", "aria-label": "what is shown" }, ...this.photoButton(),
      control("view", mode), this.labelled.left, this.labelled.right, control("opacity", opacity),
      this.labelled.swipe, this.labelled.outline, this.labelled.hatch, this.brushes,
      h("span", { class: "group" },
        h("button", { type: "button", "aria-label": "zoom in", onclick: () => this.zoomBy(1.5) }, "+"),
        h("button", { type: "button", "aria-label": "zoom out", onclick: () => this.zoomBy(1 / 1.5) }, "−"),
        h("button", { type: "button", onclick: () => this.zoomBy(0) }, "whole image")));
    this.panes = [this.pane("left"), this.pane("right")];
    const ratio = `--ratio: ${data.width / data.height}`;
    this.panels = h("div", { class: "panes", style: ratio }, ...this.panes.map((pane) => pane.root));
    this.legend = h("div", { class: "legend", role: "group", "aria-label": "classes" });
    this.meanings = h("div", { class: "key" });
    this.readout = h("div", { class: "probe", "aria-live": "polite" },
      h("span", { class: "soft" }, "Point at a pixel, or move with the arrow keys, to see what is said of it."));
    this.note = h("div", { class: "note", role: "alert" });
    this.root = h("div", { class: "seglab-viewer" }, h("style", {}, STYLE), bar, this.note,
      h("div", { class: "main" }, this.panels, h("div", { class: "beside" }, this.legend, this.meanings, this.readout)));
    if (this.kernel?.photo) this.takeDrops();
    this.element.replaceChildren(this.root);
    this.buildLegend();
  }

  pane(side) {
    const { width, height, alt } = this.data;
    const canvas = (attributes) => h("canvas", { width, height, ...attributes });
    const image = canvas({ "aria-hidden": "true" });
    image.getContext("2d").drawImage(this.picture, 0, 0, width, height);
    const overs = [canvas({ class: "over", "aria-hidden": "true" }), canvas({ class: "over", "aria-hidden": "true" })];
    const cross = h("div", { class: "cross" });
    const stage = h("div", { class: "stage" }, image, ...overs, cross);
    const handle = h("div", { class: "handle", style: "display: none" });
    const tags = [h("span", { class: "tag l" }), h("span", { class: "tag r" })];
    const root = h("div", {
      class: "pane", tabindex: side === "left" ? 0 : -1, role: "application",
      "aria-label": `${alt || "image"}. Arrow keys move the probe, plus and minus zoom.`,
      onpointerdown: (event) => this.press(event), onpointermove: (event) => this.move(event),
      onpointerup: () => this.release(), onpointercancel: () => this.release(),
      onkeydown: (event) => this.key(event),
    }, stage, handle, ...tags);
    root.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    return { root, stage, overs, cross, handle, tags };
  }

  buildLegend() {
    const { classes } = this.data;
    this.buttons = classes.map(({ name, color }, k) => {
      const swatch = h("span", { class: "swatch", "aria-hidden": "true", style: `background: rgb(${color.join()})` });
      const value = h("span", { class: "v" });
      const button = h("button", { type: "button", "aria-pressed": "true", title: name, onclick: () => this.toggle(k) },
        swatch, h("span", { class: "n" }, name), value);
      return { button, value };
    });
    const all = h("button", { type: "button", onclick: () => this.set({ hidden: [] }) }, "all");
    const none = h("button", { type: "button", onclick: () => this.set({ hidden: classes.map((_, k) => k) }) }, "none");
    this.legend.replaceChildren(...this.buttons.map(({ button }) => button), h("span", { class: "group" }, all, none));
  }

  // State ----------------------------------------------------------------------------------------------------------

  set(change, told = true) {
    const before = this.state;
    this.state = { ...before, ...change };
    const cheap = ["opacity", "swipe"];
    this.update(Object.keys(change).some((key) => !cheap.includes(key)));
    if (told) this.kernel?.changed(this.state);
  }

  toggle(k) {
    const hidden = this.state.hidden.includes(k) ? this.state.hidden.filter((i) => i !== k) : [...this.state.hidden, k];
    this.set({ hidden });
  }

  update(repaint) {
    const begin = performance.now();
    const { state, inputs } = this;
    for (const [key, input] of Object.entries(inputs)) {
      if (input.type === "checkbox") input.checked = state[key];
      else input.value = state[key];
    }
    const pair = ["swipe", "side", "flicker"].includes(state.mode);
    this.labelled.right.hidden = !pair;
    this.labelled.swipe.hidden = state.mode !== "swipe";
    const painting = state.mode === "paint";
    const classless = painting || ["error", "agreement"].includes(state.mode);
    this.labelled.left.hidden = painting || state.mode === "agreement";
    this.labelled.outline.hidden = this.labelled.hatch.hidden = classless;
    this.explain(state.mode);
    this.brushes.hidden = !painting;
    if (repaint) this.repaint(pair);
    const [first, second] = this.panes;
    second.root.style.display = state.mode === "side" ? "" : "none";
    this.panels.classList.toggle("side", state.mode === "side");
    const [left, right] = first.overs;
    left.style.opacity = right.style.opacity = second.overs[0].style.opacity = state.opacity;
    const cut = 100 * state.swipe;
    left.style.clipPath = state.mode === "swipe" ? `inset(0 ${100 - cut}% 0 0)` : "";
    right.style.clipPath = state.mode === "swipe" ? `inset(0 0 0 ${cut}%)` : "";
    right.style.display = ["swipe", "flicker"].includes(state.mode) ? "" : "none";
    this.placeHandle();
    for (const { cross } of this.panes) this.shapeCross(cross);
    this.nameLayers(pair);
    this.flicker(state.mode === "flicker");
    this.root.setAttribute("data-mode", state.mode);
    this.paints.push(performance.now() - begin);
  }

  repaint(pair) {
    const { state } = this;
    const [first, second] = this.panes;
    const kind = ["error", "agreement", "paint"].includes(state.mode) ? state.mode : "label";
    this.paint(first.overs[0], kind, state.left);
    if (kind === "paint") this.score();
    else if (this.scored) this.showReadings();
    if (state.mode === "side") this.paint(second.overs[0], "label", state.right);
    else if (pair) this.paint(first.overs[1], "label", state.right);
    this.tell();
  }

  /** One pass over the pixels, each looked up in a table of colours. */
  paint(canvas, kind, index) {
    const { width, height } = this.data;
    const codes = kind === "paint" ? this.drawing : this.codesOf(kind, index);
    const colors = this.tableOf(kind);
    const context = canvas.getContext("2d");
    canvas.pixels ??= context.createImageData(width, height);
    const out = new Uint32Array(canvas.pixels.data.buffer);
    for (let i = 0; i < out.length; i++) out[i] = colors[codes[i]];
    if (kind === "label" && this.state.hatch && !this.state.outline) this.stripe(out, codes);
    context.putImageData(canvas.pixels, 0, 0);
  }

  tableOf(kind) {
    const { classes } = this.data;
    const { hidden, outline } = this.state;
    const table = new Uint32Array(2 * EDGE);
    if (kind === "error") {
      WRONG.forEach(([color, alpha], value) => (table[value] = rgba(...color, alpha)));
      table[VOID] = rgba(0, 0, 0);
    } else if (kind === "agreement") {
      table[0] = rgba(0, 0, 0, 150);
      for (let n = 1; n < 256; n++) table[n] = rgba(...OPINIONS[Math.min(n, OPINIONS.length) - 1]);
    } else {
      classes.forEach(({ color }, k) => {
        const shown = hidden.includes(k) && kind !== "paint" ? 0 : rgba(...color);
        table[k] = outline && kind !== "paint" ? 0 : shown;
        table[k + EDGE] = shown;
      });
    }
    return table;
  }

  stripe(out, codes) {
    const { width, height } = this.data;
    const dark = rgba(0, 0, 0, 150);
    const cells = STRIPES.map((holds) => Uint8Array.from({ length: 64 }, (_, i) => Number(holds(i % 8, i >> 3))));
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        if (out[i] && cells[(codes[i] & 255) % 8][(y % 8) * 8 + (x % 8)]) out[i] = dark;
      }
    }
  }

  /** Shares and IoU beside the classes; what is hidden. */
  tell() {
    const { data, state, buttons } = this;
    const shares = this.sharesOf(state.left);
    const iou = data.layers[state.left].iou;
    buttons.forEach(({ button, value }, k) => {
      button.setAttribute("aria-pressed", String(!state.hidden.includes(k)));
      const quality = iou && iou[k] !== null && iou[k] !== undefined ? ` · IoU ${iou[k].toFixed(2)}` : "";
      value.textContent = `${percent(shares[k])}${quality}`;
      button.hidden = !data.layers.some((_, index) => this.sharesOf(index)[k] > 0);
    });
  }

  /** What the colours of a map without classes mean. */
  explain(mode) {
    const models = this.data.layers.length - (this.data.target === null ? 0 : 1);
    const shades = OPINIONS.slice(0, Math.max(0, models - 1));
    const rows = mode === "error" ? [...WRONG.map(([color, , name]) => [color, name]), [[0, 0, 0], "void in the target"]] :
      mode === "agreement" ? [[[120, 120, 120], "all models agree"],
        ...shades.map((color, n) => [color, `${NUMBERS[n]} opinions`])] : [];
    this.meanings.replaceChildren(...rows.map(([color, name]) => h("span", { class: "entry" },
      h("span", { class: "swatch", "aria-hidden": "true", style: `background: rgb(${color.join()})` }), name)));
    this.meanings.hidden = !rows.length;
    this.legend.hidden = Boolean(rows.length) || mode === "paint";
  }

  nameLayers(pair) {
    const { data, state } = this;
    const [left, right] = [data.layers[state.left].name, data.layers[state.right].name];
    const [first, second] = this.panes;
    first.tags[0].textContent = state.mode === "error" ? `where ${left} is wrong` :
      state.mode === "agreement" ? "where models disagree" : state.mode === "paint" ? "yours" : left;
    first.tags[1].textContent = pair && state.mode === "swipe" ? right : "";
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

  // Zoom and probe -------------------------------------------------------------------------------------------------

  /** A small ring of always the same size; the brush itself where one paints. */
  shapeCross(cross) {
    const scale = this.panes[0].root.clientWidth / this.data.width;
    const side = this.state.mode === "paint" ? (2 * this.state.brush + 1) * scale : 9 / this.zoom.z;
    cross.style.width = cross.style.height = `${side}px`;
    cross.style.margin = `${-side / 2}px`;
    cross.style.borderWidth = `${1.5 / this.zoom.z}px`;
  }

  placeHandle() {
    const { root, handle } = this.panes[0];
    const { x, z } = this.zoom;
    handle.style.display = this.state.mode === "swipe" ? "" : "none";
    handle.style.left = `${x + z * this.state.swipe * root.clientWidth}px`;
  }

  /** Zoom by a factor around a place of a pane (its middle by default); 0 shows the whole image. */
  zoomBy(factor, place = null) {
    const { clientWidth: w, clientHeight: t } = this.panes[0].root;
    const [px, py] = place ?? [w / 2, t / 2];
    const { x, y, z } = this.zoom;
    const next = factor ? Math.min(40, Math.max(1, z * factor)) : 1;
    this.pan(px - ((px - x) * next) / z, py - ((py - y) * next) / z, next);
  }

  pan(x, y, z = this.zoom.z) {
    const { clientWidth: w, clientHeight: t } = this.panes[0].root;
    const within = (value, side) => Math.min(0, Math.max(side * (1 - z), value));
    this.zoom = { x: within(x, w), y: within(y, t), z };
    for (const { stage, cross } of this.panes) {
      stage.style.setProperty("--x", `${this.zoom.x}px`);
      stage.style.setProperty("--y", `${this.zoom.y}px`);
      stage.style.setProperty("--z", z);
      this.shapeCross(cross);
    }
    this.placeHandle();
  }

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey && this.zoom.z === 1 && document.activeElement !== event.currentTarget) return;
    event.preventDefault(); // else the page would scroll
    const box = event.currentTarget.getBoundingClientRect();
    this.zoomBy(Math.exp(-event.deltaY / 300), [event.clientX - box.left, event.clientY - box.top]);
  }

  press(event) {
    event.currentTarget.focus({ preventScroll: true });
    event.currentTarget.setPointerCapture(event.pointerId);
    const box = event.currentTarget.getBoundingClientRect();
    const place = (event.clientX - box.left - this.zoom.x) / (this.zoom.z * box.width);
    if (this.state.mode === "paint" && event.button === 0) {
      this.begin();
      this.dragged = "brush";
      return this.move(event);
    }
    const near = this.state.mode === "swipe" && Math.abs(place - this.state.swipe) * box.width * this.zoom.z < 14;
    this.dragged = near || this.zoom.z === 1 ? (this.state.mode === "swipe" ? "swipe" : null) : event;
    this.move(event);
  }

  move(event) {
    const box = event.currentTarget.getBoundingClientRect();
    const { x, y, z } = this.zoom;
    const across = (event.clientX - box.left - x) / (z * box.width);
    const down = (event.clientY - box.top - y) / (z * box.height);
    if (this.dragged === "brush") this.draw(across * this.data.width, down * this.data.height);
    else if (this.dragged === "swipe") this.set({ swipe: Math.min(1, Math.max(0, across)) });
    else if (this.dragged) {
      this.pan(x + event.clientX - this.dragged.clientX, y + event.clientY - this.dragged.clientY);
      this.dragged = event;
    }
    this.probe(Math.floor(across * this.data.width), Math.floor(down * this.data.height));
  }

  key(event) {
    const { width, height } = this.data;
    const step = event.shiftKey ? 10 : 1;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (moves[event.key]) {
      const [x, y] = this.at ?? [width >> 1, height >> 1];
      this.probe(x + moves[event.key][0], y + moves[event.key][1]);
    } else if (this.state.mode === "paint" && event.key === " ") {
      const [x, y] = this.at ?? [width >> 1, height >> 1];
      this.begin();
      this.draw(x + 0.5, y + 0.5);
      this.release("brush");
    } else if (this.state.mode === "paint" && event.key === "z" && (event.ctrlKey || event.metaKey)) this.undo();
    else if (event.key === "+" || event.key === "=") this.zoomBy(1.5);
    else if (event.key === "-") this.zoomBy(1 / 1.5);
    else if (event.key === "0") this.zoomBy(0);
    else return;
    event.preventDefault();
  }

  /** What everybody says of a pixel. */
  probe(x, y) {
    const { data } = this;
    const { width, height } = data;
    x = Math.min(width - 1, Math.max(0, x));
    y = Math.min(height - 1, Math.max(0, y));
    if (this.at && this.at[0] === x && this.at[1] === y) return;
    this.at = [x, y];
    for (const { cross } of this.panes) {
      cross.style.display = "block";
      this.shapeCross(cross);
      cross.style.left = `${(100 * (x + 0.5)) / width}%`;
      cross.style.top = `${(100 * (y + 0.5)) / height}%`;
    }
    this.readings = data.layers.map((layer, i) => [layer.name, this.labels[i][y * width + x], ""]);
    if (this.state.mode === "paint") return; // who paints is not told what is there
    this.showReadings();
    if (this.kernel) {
      clearTimeout(this.asking);
      this.asking = setTimeout(() => this.kernel.probe(x, y), 60);
    }
  }

  /** What the kernel adds, as [layer, sentence] pairs, if the probe is still there. */
  answer(x, y, sentences) {
    if (!this.at || this.at[0] !== x || this.at[1] !== y) return;
    for (const [index, sentence] of sentences) this.readings[index][2] = sentence;
    this.showReadings();
  }

  showReadings() {
    this.scored = false;
    if (!this.readings) return this.readout.replaceChildren();
    const { classes } = this.data;
    const rows = this.readings.map(([name, label, more]) => {
      const known = classes[label];
      const color = known ? `rgb(${known.color.join()})` : "#000";
      return h("tr", {}, h("td", { class: "soft" }, name),
        h("td", {}, h("span", { class: "swatch", style: `background: ${color}` }), ` ${known ? known.name : "void"}`),
        h("td", { class: "soft" }, more));
    });
    const [x, y] = this.at;
    this.readout.replaceChildren(h("span", { class: "soft" }, `row ${y}, column ${x}`), h("table", {}, h("tbody", {}, ...rows)));
  }

  // Painting -------------------------------------------------------------------------------------------------------

  /** Classes that the target shows. */
  pens() {
    const { classes, target } = this.data;
    if (target === null) return [];
    const there = classes.map((_, k) => k).filter((k) => this.sharesOf(target)[k] > 0);
    if (!there.includes(this.state.pen)) this.state.pen = there[0] ?? 0;
    return there.map((k) => h("option", { value: k }, classes[k].name));
  }

  /** A stroke that can be undone. */
  begin() {
    this.undone = [...this.undone.slice(-19), this.drawing.slice()];
    this.stroke = null;
  }

  /** A line of the brush from where it was to a place, in pixels of the image. */
  draw(x, y) {
    const { width, height } = this.data;
    const { pen, brush, erase } = this.state;
    const [x0, y0] = this.stroke ?? [x, y];
    const steps = Math.max(1, Math.ceil(Math.hypot(x - x0, y - y0)));
    const reach = brush + 0.5;
    for (let n = 0; n <= steps; n++) {
      const [cx, cy] = [x0 + ((x - x0) * n) / steps, y0 + ((y - y0) * n) / steps];
      for (let v = Math.max(0, Math.floor(cy - reach)); v < Math.min(height, cy + reach); v++) {
        for (let u = Math.max(0, Math.floor(cx - reach)); u < Math.min(width, cx + reach); u++) {
          if (Math.hypot(u + 0.5 - cx, v + 0.5 - cy) <= reach) this.drawing[v * width + u] = erase ? VOID : pen;
        }
      }
    }
    this.stroke = [x, y];
    this.repaint(false);
  }

  release(was = this.dragged) {
    this.dragged = null;
    if (was === "brush") this.kernel?.drawn(this.drawing);
  }

  undo() {
    this.drawing = this.undone.pop() ?? this.drawing;
    this.repaint(false);
    this.kernel?.drawn(this.drawing);
  }

  startAgain() {
    this.begin();
    this.drawing.fill(VOID);
    this.repaint(false);
    this.kernel?.drawn(this.drawing);
  }

  /** How good the drawing is, beside what the models said. */
  score() {
    const { classes, layers, target } = this.data;
    const { pen } = this.state;
    const mine = this.drawing.includes(pen) ? iouOf(pen, this.drawing, this.labels[target]) : null;
    const models = layers.filter((_, i) => i !== target).map(({ name, iou }) => [name, iou?.[pen] ?? null]);
    const rows = [["you", mine], ...models.sort((a, b) => (b[1] ?? -1) - (a[1] ?? -1))].map(([name, value]) => {
      const meter = h("i", { style: `width: ${100 * (value ?? 0)}%; background: rgb(${classes[pen].color.join()})` });
      return h("tr", {}, h("td", {}, name), h("td", {}, h("span", { class: "meter" }, meter)),
        h("td", { class: "number" }, value === null ? "–" : value.toFixed(2)));
    });
    this.scored = true;
    this.readout.replaceChildren(h("span", { class: "soft" }, `IoU of ${classes[pen].name}; the space bar paints, too`),
      h("table", { class: "score" }, h("tbody", {}, ...rows)));
  }

  // Photographs ----------------------------------------------------------------------------------------------------

  photoButton() {
    if (!this.kernel?.photo) return [];
    const input = h("input", { type: "file", accept: "image/*", class: "file", "aria-label": "photograph",
      onchange: (event) => this.take(event.target.files) });
    return [h("label", { class: "photo", title: "or drop one onto the image" }, input, "photograph …")];
  }

  takeDrops() {
    const show = (on) => (event) => {
      event.preventDefault();
      event.stopPropagation(); // the notebook would take the file itself
      this.root.classList.toggle("dropping", on);
    };
    for (const kind of ["dragenter", "dragover"]) this.root.addEventListener(kind, show(true));
    this.root.addEventListener("dragleave", show(false));
    this.root.addEventListener("drop", (event) => {
      show(false)(event);
      this.take(event.dataTransfer.files);
    });
  }

  async take(files) {
    if (!files.length) return;
    this.note.textContent = `reading ${files[0].name} …`;
    try {
      this.kernel.photo(files[0].name, new Uint8Array(await files[0].arrayBuffer()));
      this.note.textContent = "";
    } catch (error) {
      this.note.textContent = `${files[0].name} cannot be read: ${error.message}`;
    }
  }

  close() {
    clearInterval(this.timer);
    clearTimeout(this.asking);
  }
}

/** A viewer in an element of a page; a promise of it. */
export function mount(element, data, state = {}) {
  const viewer = new Viewer(element, data, state);
  element.viewer = viewer;
  return viewer.ready;
}

/** The same as a widget: `data` and `state` are traits, and the kernel answers the probe. */
function render({ model, el }) {
  let viewer = null;
  let mine = ""; // the state that came from here
  const kernel = {
    changed(state) {
      mine = JSON.stringify(state);
      model.set("state", state);
      model.save_changes();
    },
    probe(x, y) {
      model.send({ kind: "probe", x, y });
    },
    drawn(labels) {
      model.send({ kind: "drawing" }, undefined, [labels.slice().buffer]);
    },
  };
  if (model.get("takes_photographs")) {
    kernel.photo = (name, bytes) => {
      const parts = Math.max(1, Math.ceil(bytes.length / CHUNK));
      for (let part = 0; part < parts; part++) {
        const piece = bytes.slice(part * CHUNK, (part + 1) * CHUNK);
        model.send({ kind: "photo", name, part, parts }, undefined, [piece.buffer]);
      }
    };
  }
  const open = () => {
    viewer?.close();
    if (model.get("data")?.layers) viewer = el.viewer = new Viewer(el, model.get("data"), model.get("state") ?? {}, kernel);
  };
  const follow = () => {
    const state = model.get("state") ?? {};
    if (JSON.stringify(state) !== mine) viewer?.ready.then(() => viewer.set(state, false));
  };
  const hear = (message) => message.kind === "probe" && viewer?.answer(message.x, message.y, message.sentences);
  model.on("change:data", open);
  model.on("change:state", follow);
  model.on("msg:custom", hear);
  open();
  return () => {
    viewer?.close();
    model.off("change:data", open);
    model.off("change:state", follow);
    model.off("msg:custom", hear);
  };
}

export default { render };
