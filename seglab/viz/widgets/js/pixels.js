/* Label maps as arrays of bytes, and what follows from them pixel by pixel. No elements, no state. */

import { STRIPES } from "./stripes.js"; // written by html.py from `seglab.data.palette.hatch`

export const VOID = 255;
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

/** 0 where the prediction is right, 1 where it is wrong, VOID where the target is void or of a class not `evaluated`. */
export const errorsOf = (labels, target, evaluated) =>
  labels.map((label, i) => (evaluated[target[i]] ? Number(label !== target[i]) : VOID));

/** The number of different predictions for each pixel, minus one. */
export function disagreementOf(layers) {
  const [first, ...others] = layers;
  return first.map((label, i) => {
    const classes = new Set([label]);
    for (const layer of others) classes.add(layer[i]);
    return classes.size - 1;
  });
}

/** The fraction of pixels of each label: array of 256. */
export function fractionsOf(labels) {
  const counts = new Array(256).fill(0);
  for (const label of labels) counts[label]++;
  return counts.map((count) => count / labels.length);
}

/** IoU of class k in a drawing, where the target is not void; null where neither has the class. */
export function iouOf(k, drawing, target) {
  let both = 0, either = 0;
  for (let i = 0; i < target.length; i++) {
    const drawn = drawing[i] === k, present = target[i] === k;
    if (target[i] === VOID || !(drawn || present)) continue;
    either++;
    if (drawn && present) both++;
  }
  return either ? both / either : null;
}

/** A colour as a number of four bytes, in the order of little-endian memory. */
export const rgba = (r, g, b, a = 255) => ((a << 24) | (b << 16) | (g << 8) | r) >>> 0;

/** Draw the stripes of each pixel's class over the colours `out` (Uint32Array), where there is a colour. Stripes repeat
 * every eight pixels; class k has pattern k modulo 8. */
export function stripe(out, codes, width, height) {
  const dark = rgba(0, 0, 0, 150);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (out[i] && STRIPES[(codes[i] & 255) % 8][(y % 8) * 8 + (x % 8)]) out[i] = dark;
    }
  }
}
