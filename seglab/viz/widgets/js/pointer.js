/* Zoom, pan, swipe and probe, by mouse, pen, touch and keyboard. */

const LIMIT = 40; // largest zoom
const CLOSE = 8; // largest zoom to a region, which shows what is around it
const NEAR = 14; // pixels of the screen within which the swipe line is grabbed

export class Pointer {
  /** @param viewer the frame: its panes, layers, state, painting, probe and `set` */
  constructor(viewer) {
    this.viewer = viewer;
    this.zoom = { x: 0, y: 0, z: 1 }; // position of the image's corner, in widths and heights of the pane; factor
    this.dragged = null; // "brush", "swipe", "pinch", or the last event of a pan
    this.fingers = new Map(); // identifier of a touch → its last event
  }

  /** Event listeners of a pane. */
  get listeners() {
    return {
      onpointerdown: (event) => this.press(event), onpointermove: (event) => this.move(event),
      onpointerup: (event) => this.release(event), onpointercancel: (event) => this.cancel(event),
      onkeydown: (event) => this.key(event),
    };
  }

  /** Zoom by a factor around a position of the pane, in fractions of its sides; 0 shows the whole image. */
  zoomBy(factor, [px, py] = [0.5, 0.5]) {
    const { x, y, z } = this.zoom;
    const next = factor ? Math.min(LIMIT, Math.max(1, z * factor)) : 1;
    this.pan(px - ((px - x) * next) / z, py - ((py - y) * next) / z, next);
  }

  /** Zoom to [left, top, right, bottom] in pixels of the image, with as much around it; null shows the whole image. */
  zoomTo(region) {
    if (!region) return this.zoomBy(0);
    const { width, height } = this.viewer.data;
    const [left, top, right, bottom] = [region[0] / width, region[1] / height, region[2] / width, region[3] / height];
    const z = Math.min(CLOSE, Math.max(1, 0.5 / Math.max(right - left, bottom - top)));
    this.pan(0.5 - (z * (left + right)) / 2, 0.5 - (z * (top + bottom)) / 2, z);
  }

  pan(x, y, z = this.zoom.z) {
    const within = (value) => Math.min(0, Math.max(1 - z, value));
    this.zoom = { x: within(x), y: within(y), z };
    for (const { stage } of this.viewer.panes) {
      stage.style.setProperty("--x", `${100 * this.zoom.x}%`);
      stage.style.setProperty("--y", `${100 * this.zoom.y}%`);
      stage.style.setProperty("--z", z);
    }
    this.gestures();
    this.place();
  }

  /** Keep the swipe line and the rings of the probe at their size and position on the screen. */
  place() {
    const { panes, state, layers } = this.viewer;
    const { x, z } = this.zoom;
    const { root, handle } = panes[0];
    handle.style.display = state.mode === "swipe" ? "" : "none";
    handle.style.left = `${100 * (x + z * state.swipe)}%`;
    // The ring has a constant size on the screen; in painting mode it has the size of the brush.
    const side = state.mode === "paint" ? ((2 * state.brush + 1) * root.clientWidth) / layers.data.width : 9 / z;
    for (const { cross } of panes) {
      cross.style.width = cross.style.height = `${side}px`;
      cross.style.margin = `${-side / 2}px`;
      cross.style.borderWidth = `${1.5 / z}px`;
    }
  }

  /** Leave to the browser what a finger would do to the page: scroll it, except where the drag means something here. */
  gestures() {
    const { mode } = this.viewer.state;
    const own = mode === "paint" || this.zoom.z > 1;
    for (const { root } of this.viewer.panes) root.style.touchAction = own ? "none" : mode === "swipe" ? "pan-y" : "pan-x pan-y";
  }

  wheel(event) {
    const asked = event.ctrlKey || event.metaKey; // a pinch on a touchpad has the control key, too
    const focused = document.activeElement === event.currentTarget;
    const whole = this.zoom.z === 1;
    if (!asked && whole && (!focused || event.deltaY >= 0)) return; // the page scrolls
    event.preventDefault();
    this.zoomBy(Math.exp(-event.deltaY / 300), this.fraction(event, event.currentTarget));
  }

  /** The position of an event as fractions of the pane's width and height. */
  fraction(event, pane) {
    const box = pane.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  /** The position of an event as fractions of the image's width and height. */
  position(event) {
    const box = event.currentTarget.getBoundingClientRect();
    const { x, y, z } = this.zoom;
    return [((event.clientX - box.left) / box.width - x) / z, ((event.clientY - box.top) / box.height - y) / z, box];
  }

  press(event) {
    event.currentTarget.focus({ preventScroll: true });
    event.currentTarget.setPointerCapture(event.pointerId);
    const { state, painting } = this.viewer;
    if (event.pointerType === "touch") this.fingers.set(event.pointerId, event);
    if (this.fingers.size === 2) return this.beginPinch();
    this.swiped = state.swipe;
    if (state.mode === "paint" && event.button === 0) {
      const [across, down] = this.position(event);
      if (painting.click(across, down)) return;
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

  /** Two fingers zoom and pan; what the first one had begun is taken back. */
  beginPinch() {
    this.takeBack();
    this.dragged = "pinch";
  }

  takeBack() {
    if (this.dragged === "swipe") this.viewer.set({ swipe: this.swiped });
    if (this.dragged === "brush") this.viewer.painting.undo();
    this.dragged = null;
  }

  /** The middle of the two fingers as fractions of the pane, and their distance in pixels of the screen. */
  span(pane) {
    const [a, b] = [...this.fingers.values()];
    const [[ax, ay], [bx, by]] = [this.fraction(a, pane), this.fraction(b, pane)];
    return { x: (ax + bx) / 2, y: (ay + by) / 2, distance: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) };
  }

  pinch(event) {
    const pane = event.currentTarget;
    const before = this.span(pane);
    this.fingers.set(event.pointerId, event);
    const after = this.span(pane);
    this.zoomBy(after.distance / Math.max(1, before.distance), [before.x, before.y]);
    this.pan(this.zoom.x + after.x - before.x, this.zoom.y + after.y - before.y);
  }

  move(event) {
    if (this.dragged === "pinch") return this.fingers.has(event.pointerId) && this.fingers.size === 2 && this.pinch(event);
    const { width, height } = this.viewer.layers.data;
    const { x, y } = this.zoom;
    const [across, down, box] = this.position(event);
    if (this.dragged === "brush") this.viewer.painting.draw(across * width, down * height);
    else if (this.dragged === "swipe") this.viewer.set({ swipe: Math.min(1, Math.max(0, across)) });
    else if (this.dragged) {
      this.pan(x + (event.clientX - this.dragged.clientX) / box.width, y + (event.clientY - this.dragged.clientY) / box.height);
      this.dragged = event;
    }
    this.viewer.probe.move(Math.floor(across * width), Math.floor(down * height));
  }

  release(event) {
    this.fingers.delete(event.pointerId);
    if (this.dragged === "brush") this.viewer.painting.end();
    if (this.dragged !== "pinch" || !this.fingers.size) this.dragged = null;
    this.gestures();
  }

  /** The browser has taken a touch over, to scroll the page. */
  cancel(event) {
    this.takeBack();
    this.release(event);
  }

  key(event) {
    const { layers, painting, state } = this.viewer;
    const { width, height } = layers.data;
    const [x, y] = this.viewer.probe.at ?? [width >> 1, height >> 1];
    const step = event.shiftKey ? 10 : 1;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const paints = state.mode === "paint";
    if (moves[event.key]) this.viewer.probe.move(x + moves[event.key][0], y + moves[event.key][1], true);
    else if (paints && event.key === " ") painting.dot(x + 0.5, y + 0.5);
    else if (paints && painting.key(event)) return event.preventDefault();
    else if (event.key === "+" || event.key === "=") this.zoomBy(1.5);
    else if (event.key === "-") this.zoomBy(1 / 1.5);
    else if (event.key === "0") this.zoomBy(0);
    else return;
    event.preventDefault();
  }
}
