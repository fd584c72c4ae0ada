/* Label maps as arrays of bytes, and what follows from them pixel by pixel. No elements, no state. */

import { STRIPES } from "./stripes.js"; // written by html.py from `seglab.data.palette.hatch`

export const VOID = 255;
export const RIGHT = 254; // no class has this index
export const EDGE = 256; // added to the label of a pixel at the border of its region

/** Base64 of deflated bytes → Uint8Array. */
export async function inflate(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Labels, plus EDGE where a neighbour on the right or below has another label: Uint16Array. */
export function withEdges(labels, width, height) {
  const codes = new Uint16Array(labels);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (x + 1 < width && labels[i] !== labels[i + 1]) (codes[i] |= EDGE), (codes[i + 1] |= EDGE);
      if (y + 1 < height && labels[i] !== labels[i + width]) (codes[i] |= EDGE), (codes[i + width] |= EDGE);
    }
  }
  return codes;
}

/** The predicted label where it is wrong, RIGHT where it is right, VOID where the target is void or of a class not
 * `evaluated`. */
export const errorsOf = (labels, target, evaluated) =>
  labels.map((label, i) => (!evaluated[target[i]] ? VOID : label === target[i] ? RIGHT : label));

/** Outcomes of class k at each pixel: 1 true positive, 2 false positive, 3 false negative, 0 neither; VOID as above. */
export const outcomesOf = (labels, target, evaluated, k) => labels.map((label, i) =>
  !evaluated[target[i]] ? VOID : target[i] === k ? (label === k ? 1 : 3) : label === k ? 2 : 0);

/** The number of different predictions for each pixel, minus one. */
export function disagreementOf(layers) {
  const different = new Uint8Array(layers[0].length);
  const last = new Int32Array(256).fill(-1); // the last pixel at which each label was seen
  for (let i = 0; i < different.length; i++) {
    let classes = 0;
    for (let n = 0; n < layers.length; n++) {
      const label = layers[n][i];
      if (last[label] === i) continue;
      last[label] = i;
      classes++;
    }
    different[i] = classes - 1;
  }
  return different;
}

/** The fraction of pixels of each label: array of 256. */
export function fractionsOf(labels) {
  const counts = new Array(256).fill(0);
  for (const label of labels) counts[label]++;
  return counts.map((count) => count / labels.length);
}

/** Pixels of class k in drawing and target, and in either of them, where the target is not void: [both, either]. */
export function overlapOf(k, drawing, target) {
  let both = 0, either = 0;
  for (let i = 0; i < target.length; i++) {
    if (target[i] === VOID) continue;
    const drawn = drawing[i] === k, present = target[i] === k;
    both += drawn && present;
    either += drawn || present;
  }
  return [both, either];
}

/** A colour as a number of four bytes, in the order of little-endian memory. */
export const rgba = (r, g, b, a = 255) => ((a << 24) | (b << 16) | (g << 8) | r) >>> 0;

/** The stripes of class k as rows of "0" and "1", which repeat; class 0 and void have none. */
export const stripesOf = (k) => (k ? STRIPES[1 + ((k - 1) % (STRIPES.length - 1))] : STRIPES[0]);

/** Draw the stripes of each pixel's class over the colours `out` (Uint32Array), where there is a colour. */
export function stripe(out, codes, width, height) {
  const dark = rgba(0, 0, 0, 150);
  const patterns = Array.from({ length: VOID }, (_, k) => Uint8Array.from(stripesOf(k).join("")));
  const sides = patterns.map((pattern) => Math.sqrt(pattern.length));
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (!out[i]) continue;
      const k = codes[i] & 255, side = sides[k]; // a power of two
      if (patterns[k][(y & (side - 1)) * side + (x & (side - 1))]) out[i] = dark;
    }
  }
}
