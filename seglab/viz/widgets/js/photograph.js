/* Photographs that the reader chooses or drops onto the viewer; a kernel receives them. */

import { h } from "./dom.js";

const KINDS = ".jpg,.jpeg,.png,.webp,.tif,.tiff,.bmp,.gif,.avif,.jp2,.ppm";

export class Photograph {
  /** @param kernel with `photo(name, bytes)` and `mostBytes`, the size of the largest one; @param note an element for messages */
  constructor(kernel, note) {
    this.kernel = kernel;
    this.note = note;
  }

  /** The button that opens the file dialogue. */
  button() {
    const input = h("input", { type: "file", accept: KINDS, class: "file", "aria-label": "photograph",
      onchange: (event) => this.take(event.target.files) });
    return h("label", { class: "photo", title: "or drop one onto the image" }, input, "photograph …");
  }

  /** Accept files that are dropped onto an element. */
  listen(root) {
    const mark = (on) => (event) => {
      event.preventDefault();
      event.stopPropagation(); // otherwise the notebook takes the file
      root.classList.toggle("dropping", on);
    };
    for (const kind of ["dragenter", "dragover"]) root.addEventListener(kind, mark(true));
    root.addEventListener("dragleave", mark(false));
    root.addEventListener("drop", (event) => {
      mark(false)(event);
      this.take(event.dataTransfer.files);
    });
  }

  /** The kernel has received so many parts of a file; it reports by itself what it does with the whole. */
  received(count, parts) {
    this.note.textContent = count < parts ? `sending ${this.name}: ${Math.floor((100 * count) / parts)} % …` : "";
  }

  async take(files) {
    if (!files.length) return;
    const { name, size } = files[0];
    this.name = name;
    const most = this.kernel.mostBytes;
    if (size > most) {
      this.note.textContent = `${name} is too large: it has ${Math.ceil(size / 1e6)} MB, at most ${Math.floor(most / 1e6)} are taken.`;
      return;
    }
    this.note.textContent = `sending ${name} (${(size / 1e6).toFixed(1)} MB) …`;
    try {
      this.kernel.photo(name, new Uint8Array(await files[0].arrayBuffer()));
    } catch (error) {
      this.note.textContent = `${name} cannot be read: ${error.message}`;
    }
  }
}
