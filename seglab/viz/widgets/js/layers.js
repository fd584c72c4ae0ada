/* The layers of a scene: decoded label maps, the maps derived from them, and how each is painted on a canvas. */

import { EDGE, VOID, disagreementOf, errorsOf, fractionsOf, inflate, rgba, stripe, withEdges } from "./pixels.js";

// Colours of the error map: colour, opacity, meaning.
const ERRORS = [[[255, 255, 255], 140, "right"], [[209, 73, 91], 255, "wrong"]];
// Colours of the agreement map, from two different predictions (pale) to six and more (violet).
const DISAGREEMENT = [[252, 253, 191], [254, 159, 109], [222, 73, 104], [140, 41, 129], [59, 15, 112]];
const NUMBERS = ["two", "three", "four", "five", "six or more"];

export class Layers {
  constructor(data) {
    this.data = data;
    this.derived = new Map();
    this.drawing = new Uint8Array(data.width * data.height).fill(VOID); // painted by the reader
  }

  async open() {
    this.labels = await Promise.all(this.data.layers.map((layer) => inflate(layer.labels)));
  }

  /** The number of layers that are predictions. */
  get models() {
    return this.data.layers.length - (this.data.target === null ? 0 : 1);
  }

  once(key, make) {
    if (!this.derived.has(key)) this.derived.set(key, make());
    return this.derived.get(key);
  }

  fractions(index) {
    return this.once(`fractions ${index}`, () => fractionsOf(this.labels[index]));
  }

  /** What is painted: kind "label", "error", "agreement" or "paint" → one code for each pixel. */
  codes(kind, index) {
    const { width, height, target } = this.data;
    if (kind === "paint") return this.drawing;
    return this.once(`${kind} ${index}`, () =>
      kind === "error"
        ? errorsOf(this.labels[index], this.labels[target], this.data.evaluated)
        : kind === "agreement"
          ? disagreementOf(this.labels.filter((_, i) => i !== target))
          : withEdges(this.labels[index], width, height));
  }

  /** One pass over the pixels: the colour of each is looked up in a table. */
  paint(canvas, kind, index, { hidden, outline, hatch }) {
    const { width, height } = this.data;
    const codes = this.codes(kind, index);
    const colors = this.colors(kind, hidden, outline);
    const context = canvas.getContext("2d");
    canvas.pixels ??= context.createImageData(width, height);
    const out = new Uint32Array(canvas.pixels.data.buffer);
    for (let i = 0; i < out.length; i++) out[i] = colors[codes[i]];
    if (kind === "label" && hatch && !outline) stripe(out, codes, width, height);
    context.putImageData(canvas.pixels, 0, 0);
  }

  /** Code → colour. */
  colors(kind, hidden, outline) {
    const table = new Uint32Array(2 * EDGE);
    if (kind === "error") {
      ERRORS.forEach(([color, alpha], value) => (table[value] = rgba(...color, alpha)));
      table[VOID] = rgba(0, 0, 0);
    } else if (kind === "agreement") {
      table[0] = rgba(0, 0, 0, 150);
      for (let n = 1; n < 256; n++) table[n] = rgba(...DISAGREEMENT[Math.min(n, DISAGREEMENT.length) - 1]);
    } else {
      this.data.classes.forEach(({ color }, k) => {
        const shown = hidden.includes(k) && kind !== "paint" ? 0 : rgba(...color);
        table[k] = outline && kind !== "paint" ? 0 : shown;
        table[k + EDGE] = shown;
      });
    }
    return table;
  }

  /** The meaning of the colours of a map that shows no classes: [colour, text] each. */
  meanings(mode) {
    const shades = DISAGREEMENT.slice(0, Math.max(0, this.models - 1));
    const rest = this.data.evaluated.every(Boolean) ? "void in the target" : "void, or a class that a model lacks";
    if (mode === "error") return [...ERRORS.map(([color, , text]) => [color, text]), [[0, 0, 0], rest]];
    if (mode !== "agreement") return [];
    return [[[120, 120, 120], "all models agree"],
      ...shades.map((color, n) => [color, `${NUMBERS[n]} different classes`])];
  }
}
