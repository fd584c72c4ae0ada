/* The viewer as a widget (anywidget): `data` and `state` are traits; the kernel answers the probe and takes photographs. */

import { Viewer } from "./viewer.js";

const CHUNK = 1 << 20; // bytes of a photograph in one message: servers close connections at large ones

function render({ model, el }) {
  let viewer = null;
  let own = ""; // the state that was last sent from here
  const kernel = {
    changed(state) {
      own = JSON.stringify(state);
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
  if (model.get("photograph_bytes")) {
    kernel.mostBytes = model.get("photograph_bytes");
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
    const shown = viewer; // a new scene may replace it before it is ready, and reads the state itself
    if (JSON.stringify(state) !== own) shown?.ready.then(() => shown === viewer && shown.set(state, false));
  };
  const receive = (message) => {
    const { kind, x, y, readings, count, parts } = message;
    if (kind === "probe") viewer?.probe?.answer(x, y, readings);
    if (kind === "received") viewer?.controls?.photograph?.received(count, parts);
  };
  model.on("change:data", open);
  model.on("change:state", follow);
  model.on("msg:custom", receive);
  open();
  return () => {
    viewer?.close();
    model.off("change:data", open);
    model.off("change:state", follow);
    model.off("msg:custom", receive);
  };
}

export default { render };
