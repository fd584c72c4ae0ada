/* Zoom, pan, swipe and probe, by mouse, pen and keyboard. */

const LIMIT = 40; // largest zoom
const NEAR = 14; // pixels of the screen within which the swipe line is grabbed

export class Pointer {
  /** @param viewer the frame: its panes, layers, state, painting, probe and `set` */
  constructor(viewer) {
    this.viewer = viewer;
    this.zoom = { x: 0, y: 0, z: 1 };
    this.dragged = null; // "brush", "swipe", or the last event of a pan
  }

  /** Event listeners of a pane. */
  get listeners() {
    return {
      onpointerdown: (event) => this.press(event), onpointermove: (event) => this.move(event),
      onpointerup: () => this.release(), onpointercancel: () => this.release(),
      onkeydown: (event) => this.key(event),
    };
  }

  /** Zoom by a factor around a position of a pane (its middle by default); 0 shows the whole image. */
  zoomBy(factor, position = null) {
    const { clientWidth: w, clientHeight: t } = this.viewer.panes[0].root;
    const [px, py] = position ?? [w / 2, t / 2];
    const { x, y, z } = this.zoom;
    const next = factor ? Math.min(LIMIT, Math.max(1, z * factor)) : 1;
    this.pan(px - ((px - x) * next) / z, py - ((py - y) * next) / z, next);
  }

  pan(x, y, z = this.zoom.z) {
    const { clientWidth: w, clientHeight: t } = this.viewer.panes[0].root;
    const within = (value, side) => Math.min(0, Math.max(side * (1 - z), value));
    this.zoom = { x: within(x, w), y: within(y, t), z };
    for (const { stage } of this.viewer.panes) {
      stage.style.setProperty("--x", `${this.zoom.x}px`);
      stage.style.setProperty("--y", `${this.zoom.y}px`);
      stage.style.setProperty("--z", z);
    }
    this.place();
  }

  /** Keep the swipe line and the rings of the probe at their size and position on the screen. */
  place() {
    const { panes, state, layers } = this.viewer;
    const { x, z } = this.zoom;
    const { root, handle } = panes[0];
    handle.style.display = state.mode === "swipe" ? "" : "none";
    handle.style.left = `${x + z * state.swipe * root.clientWidth}px`;
    // The ring has a constant size on the screen; in painting mode it has the size of the brush.
    const side = state.mode === "paint" ? ((2 * state.brush + 1) * root.clientWidth) / layers.data.width : 9 / z;
    for (const { cross } of panes) {
      cross.style.width = cross.style.height = `${side}px`;
      cross.style.margin = `${-side / 2}px`;
      cross.style.borderWidth = `${1.5 / z}px`;
    }
  }

  wheel(event) {
    const focused = document.activeElement === event.currentTarget;
    if (!event.ctrlKey && !event.metaKey && this.zoom.z === 1 && !focused) return; // the page scrolls
    event.preventDefault();
    const box = event.currentTarget.getBoundingClientRect();
    this.zoomBy(Math.exp(-event.deltaY / 300), [event.clientX - box.left, event.clientY - box.top]);
  }

  /** The position of an event as fractions of the image's width and height. */
  position(event) {
    const box = event.currentTarget.getBoundingClientRect();
    const { x, y, z } = this.zoom;
    return [(event.clientX - box.left - x) / (z * box.width), (event.clientY - box.top - y) / (z * box.height), box];
  }

  press(event) {
    event.currentTarget.focus({ preventScroll: true });
    event.currentTarget.setPointerCapture(event.pointerId);
    const { state, painting } = this.viewer;
    if (state.mode === "paint" && event.button === 0) {
      painting.begin();
      this.dragged = "brush";
      return this.move(event);
    }
    const [across, , box] = this.position(event);
    const swipe = state.mode === "swipe";
    const near = swipe && Math.abs(across - state.swipe) * box.width * this.zoom.z < NEAR;
    this.dragged = near || this.zoom.z === 1 ? (swipe ? "swipe" : null) : event;
    this.move(event);
  }

  move(event) {
    const { width, height } = this.viewer.layers.data;
    const { x, y } = this.zoom;
    const [across, down] = this.position(event);
    if (this.dragged === "brush") this.viewer.painting.draw(across * width, down * height);
    else if (this.dragged === "swipe") this.viewer.set({ swipe: Math.min(1, Math.max(0, across)) });
    else if (this.dragged) {
      this.pan(x + event.clientX - this.dragged.clientX, y + event.clientY - this.dragged.clientY);
      this.dragged = event;
    }
    this.viewer.probe.move(Math.floor(across * width), Math.floor(down * height));
  }

  release() {
    if (this.dragged === "brush") this.viewer.painting.end();
    this.dragged = null;
  }

  key(event) {
    const { layers, painting, state } = this.viewer;
    const { width, height } = layers.data;
    const [x, y] = this.viewer.probe.at ?? [width >> 1, height >> 1];
    const step = event.shiftKey ? 10 : 1;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const paints = state.mode === "paint";
    if (moves[event.key]) this.viewer.probe.move(x + moves[event.key][0], y + moves[event.key][1]);
    else if (paints && event.key === " ") painting.dot(x + 0.5, y + 0.5);
    else if (paints && event.key === "z" && (event.ctrlKey || event.metaKey)) painting.undo();
    else if (event.key === "+" || event.key === "=") this.zoomBy(1.5);
    else if (event.key === "-") this.zoomBy(1 / 1.5);
    else if (event.key === "0") this.zoomBy(0);
    else return;
    event.preventDefault();
  }
}
