/* The counts of a comparison, and every number of an image that follows from them. No elements, no state.
 *
 * data = {
 *   models, classes, columns, images,   names; ids of the images; the last column of a confusion matrix may be "other"
 *   iou: { model: [of each class] }, confusion: { model: [[fraction of the target's pixels]] },   of the whole data set
 *   counts: [of each model],            base64 of deflated columns: image, class pair, pixels; see `unpacked`
 *   confidence: [of each model],        a mean for each image, or null
 *   thumbs: { index: data URL }, inside   indices of the images that the page can show; null where a kernel shows them
 * }
 */

import { inflate } from "./pixels.js";

/** Columns of numbers below 2³², of which first all low bytes were stored, then the bytes above them: Uint32Arrays. */
export async function unpacked(base64, columns) {
  const bytes = await inflate(base64);
  const length = bytes.length / (4 * columns);
  return Array.from({ length: columns }, (_, c) => {
    const column = new Uint32Array(length);
    for (let plane = 0; plane < 4; plane++) {
      const start = (4 * c + plane) * length;
      for (let i = 0; i < length; i++) column[i] |= bytes[start + i] << (8 * plane);
    }
    return column;
  });
}

export class Counts {
  /** Decode the counts of `data`: a promise of them. */
  static async open(data) {
    return new Counts(data, await Promise.all(data.counts.map((rows) => unpacked(rows, 3))));
  }

  constructor(data, rows) {
    this.data = data;
    this.size = data.images.length;
    this.known = new Map();
    this.rows = rows;
    for (const [image] of rows) for (let i = 1; i < image.length; i++) image[i] += image[i - 1]; // they were differences
  }

  once(key, make) {
    if (!this.known.has(key)) this.known.set(key, make());
    return this.known.get(key);
  }

  /** A number for each image. */
  each(make) {
    return Float64Array.from({ length: this.size }, (_, i) => make(i));
  }

  /** Pixels of each image and class that are right, of the target, and predicted: [Uint32Array(images × classes)] each. */
  parts(model) {
    return this.once(`parts ${model}`, () => {
      const classes = this.data.classes.length;
      const [hit, target, pred] = [0, 1, 2].map(() => new Uint32Array(this.size * classes));
      const [image, pair, pixels] = this.rows[model];
      for (let r = 0; r < image.length; r++) {
        const first = image[r] * classes, t = Math.floor(pair[r] / (classes + 1)), p = pair[r] % (classes + 1);
        target[first + t] += pixels[r];
        if (p < classes) pred[first + p] += pixels[r];
        if (p === t) hit[first + t] += pixels[r];
      }
      return [hit, target, pred];
    });
  }

  /** IoU of a class; NaN where neither target nor prediction has it. */
  iou(model, k) {
    return this.once(`iou ${model} ${k}`, () => {
      const [hit, target, pred] = this.parts(model), classes = this.data.classes.length;
      return this.each((i) => {
        const at = i * classes + k, union = target[at] + pred[at] - hit[at];
        return union ? hit[at] / union : NaN;
      });
    });
  }

  /** The mean IoU over the classes in target or prediction. */
  miou(model) {
    return this.once(`miou ${model}`, () => {
      const [hit, target, pred] = this.parts(model), classes = this.data.classes.length;
      return this.each((i) => {
        let sum = 0, present = 0;
        for (let at = i * classes; at < (i + 1) * classes; at++) {
          const union = target[at] + pred[at] - hit[at];
          if (union) (sum += hit[at] / union), present++;
        }
        return present ? sum / present : NaN;
      });
    });
  }

  /** The fraction of an image's labelled pixels whose target is a class. */
  share(k) {
    return this.once(`share ${k}`, () => {
      const [, target] = this.parts(0), classes = this.data.classes.length;
      return this.each((i) => {
        const labelled = target.subarray(i * classes, (i + 1) * classes).reduce((sum, pixels) => sum + pixels, 0);
        return labelled ? target[i * classes + k] / labelled : NaN;
      });
    });
  }

  /** Pixels of a class by outcome: "TP", "FP" or "FN". */
  outcome(model, k, which) {
    const [hit, target, pred] = this.parts(model), classes = this.data.classes.length;
    return this.each((i) => {
      const at = i * classes + k;
      return which === "TP" ? hit[at] : which === "FP" ? pred[at] - hit[at] : target[at] - hit[at];
    });
  }

  /** Pixels of class t that a model predicts as column p; with p null, all errors of class t: FP and FN. */
  pixels(model, t, p) {
    return this.once(`pixels ${model} ${t} ${p}`, () => {
      if (p === null) {
        const [wrong, missed] = [this.outcome(model, t, "FP"), this.outcome(model, t, "FN")];
        return this.each((i) => wrong[i] + missed[i]);
      }
      const found = new Float64Array(this.size), [image, pair, pixels] = this.rows[model];
      const code = t * (this.data.classes.length + 1) + p; // the column "other" has the last index
      for (let r = 0; r < image.length; r++) if (pair[r] === code) found[image[r]] += pixels[r];
      return found;
    });
  }

  /** The mean confidence of a model, NaN where it is unknown. */
  confidence(model) {
    return this.once(`confidence ${model}`, () => this.each((i) => this.data.confidence[model]?.[i] ?? NaN));
  }

  /** The highest mIoU of a model minus the lowest. */
  disagreement() {
    return this.once("disagreement", () => {
      const all = this.data.models.map((_, m) => this.miou(m));
      return this.each((i) => {
        const values = all.map((miou) => miou[i]).filter((value) => !Number.isNaN(value));
        return values.length > 1 ? Math.max(...values) - Math.min(...values) : NaN;
      });
    });
  }
}
