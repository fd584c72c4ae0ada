/* The layers of a scene: decoded label maps, the maps derived from them, and how each is painted on a canvas. */

import { percent } from "./dom.js";
import { EDGE, RIGHT, VOID, disagreementOf, errorsOf, fractionsOf, inflate, outcomesOf, rgba, stripe, withEdges } from "./pixels.js";

const PALE = [255, 255, 255]; // where the error map shows no error
// Colours of the agreement map, from two different predictions (pale) to six and more (violet).
const DISAGREEMENT = [[252, 253, 191], [254, 159, 109], [222, 73, 104], [140, 41, 129], [59, 15, 112]];
// True positives, false positives, false negatives: bluish green, vermilion and blue (Okabe and Ito 2008).
const OUTCOME = [[0, 158, 115], [213, 94, 0], [0, 114, 178]];
const OUTCOMES = ["TP, predicted and in the target", "FP, only predicted", "FN, only in the target"];
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

  /** What is painted: kind "label", "error", "outcome" (of class `focus`), "agreement" or "paint" → a code a pixel. */
  codes(kind, index, focus) {
    const { width, height, target, evaluated } = this.data;
    if (kind === "paint") return this.drawing;
    if (kind === "outcome") {
      return this.once(`outcome ${index} ${focus}`, () => outcomesOf(this.labels[index], this.labels[target], evaluated, focus));
    }
    return this.once(`${kind} ${index}`, () =>
      kind === "error"
        ? errorsOf(this.labels[index], this.labels[target], evaluated)
        : kind === "agreement"
          ? disagreementOf(this.labels.filter((_, i) => i !== target))
          : withEdges(this.labels[index], width, height));
  }

  /** One pass over the pixels, or over those of a box [left, top, right, bottom]: a table gives the colour of each. */
  paint(canvas, kind, index, { hidden, outline, hatch, focus }, box = null) {
    const { width, height } = this.data;
    const codes = this.codes(kind, index, focus);
    const colors = this.colors(kind, hidden, outline);
    const context = canvas.getContext("2d");
    canvas.pixels ??= context.createImageData(width, height);
    const out = new Uint32Array(canvas.pixels.data.buffer);
    const [left, top, right, bottom] = box ?? [0, 0, width, height];
    for (let y = top; y < bottom; y++) {
      for (let i = y * width + left; i < y * width + right; i++) out[i] = colors[codes[i]];
    }
    if (kind === "label" && hatch && !outline) stripe(out, codes, width, height);
    context.putImageData(canvas.pixels, 0, 0, left, top, right - left, bottom - top);
  }

  /** Code → colour. */
  colors(kind, hidden, outline) {
    const table = new Uint32Array(2 * EDGE);
    if (kind === "error") {
      this.data.classes.forEach(({ color }, k) => (table[k] = hidden.includes(k) ? 0 : rgba(...color)));
      table[RIGHT] = rgba(...PALE, 140);
      table[VOID] = rgba(0, 0, 0);
    } else if (kind === "outcome") {
      OUTCOME.forEach((color, n) => (table[n + 1] = rgba(...color)));
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

  /** The meaning of the colours that are no class colours: [colour, text] each. */
  meanings(mode, { left, focus }) {
    const shades = DISAGREEMENT.slice(0, Math.max(0, this.models - 1));
    const rest = this.data.evaluated.every(Boolean) ? "void in the target" : "void, or a class that a model lacks";
    if (mode === "error") return [[PALE, "right; an error has the colour of the predicted class"], [[0, 0, 0], rest]];
    if (mode === "outcome") {
      const fractions = this.once(`outcomes ${left} ${focus}`, () => fractionsOf(this.codes(mode, left, focus)));
      return [...OUTCOMES.map((text, n) => [OUTCOME[n], `${text}: ${percent(fractions[n + 1])}`]), [[0, 0, 0], rest]];
    }
    if (mode !== "agreement") return [];
    return [[[120, 120, 120], "all models agree"],
      ...shades.map((color, n) => [color, `${NUMBERS[n]} different classes`])];
  }
}
