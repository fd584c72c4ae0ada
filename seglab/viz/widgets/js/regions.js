/* Connected regions of pixels. */

/** The box [left, top, right, bottom] around the largest 8-connected region where `chosen(i)` holds, or null without any;
 * right and bottom are excluded. As `comparison.largest_region`. */
export function largestRegion(chosen, width, height) {
  const seen = new Uint8Array(width * height), stack = new Int32Array(width * height);
  let best = null, most = 0;
  for (let start = 0; start < seen.length; start++) {
    if (seen[start] || !chosen(start)) continue;
    let size = 0, length = 1;
    const box = [width, height, 0, 0];
    stack[0] = start;
    seen[start] = 1;
    while (length) {
      const i = stack[--length], x = i % width, y = (i - x) / width;
      size++;
      box[0] = Math.min(box[0], x), box[1] = Math.min(box[1], y);
      box[2] = Math.max(box[2], x + 1), box[3] = Math.max(box[3], y + 1);
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
          const j = v * width + u;
          if (!seen[j] && chosen(j)) (seen[j] = 1), (stack[length++] = j);
        }
      }
    }
    if (size > most) (most = size), (best = box);
  }
  return best;
}
