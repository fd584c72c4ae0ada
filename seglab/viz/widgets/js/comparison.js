/* The board as a widget (anywidget). A click sets the trait `chosen` or `shown`; the kernel shows the image in a viewer.
 * `selected` tells the kernel which images pass the filters. Thumbnails are asked for when their rows come into view. */

import { Board } from "./board.js";
import { Counts } from "./counts.js";

function render({ model, el }) {
  let board = null;
  const images = () => model.get("tables").images;
  const save = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const host = {
    chosen: (chosen, index) => save("chosen", index === null ? chosen : { ...chosen, image: images()[index] }),
    show: (index) => save("shown", images()[index]),
    selected: (rows) => save("selected", rows),
    thumbs: (indices) => model.send({ kind: "thumbs", images: indices }),
  };
  const open = () => Counts.open(model.get("tables")).then((counts) => {
    board?.close();
    board = el.board = new Board(el, counts, model.get("chosen"), host);
    follow();
  });
  const follow = () => board?.follow(model.get("chosen"), images().indexOf(model.get("shown")));
  const receive = (message) => message.kind === "thumbs" && board?.arrived(message.thumbs);
  const heard = { "change:tables": open, "change:chosen": follow, "change:shown": follow, "msg:custom": receive };
  for (const [event, act] of Object.entries(heard)) model.on(event, act);
  open();
  return () => {
    board?.close();
    for (const [event, act] of Object.entries(heard)) model.off(event, act);
  };
}

export default { render };
