"""The viewer of label maps, as a widget in notebooks and as a static page.

view(image, {"U-Net": mask, "FCN": other}, classes, target)            in a notebook
Path("street.html").write_text(view(…).to_html())                      for a browser, without kernel or network
"""

import base64
import math
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from io import BytesIO
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from torch import Tensor

from seglab.data.classes import IGNORE_INDEX, ClassSet
from seglab.data.images import Picture, to_image
from seglab.inference.prediction import Prediction
from seglab.masks.painting import colorize, label_map
from seglab.metrics.measures import iou_of_image
from seglab.viz import pictures, style
from seglab.viz.widgets.html import document, fragment, script

Mask = ArrayLike | Tensor  # integer (H,W)
Scene = dict[str, Any]  # as JSON types; `js/viewer.js` describes the form
PAIRS = ("swipe", "side", "flicker")  # modes that show two layers
TARGET = "target"  # name of the target's layer
LARGE = 512 * 512  # pixels; a larger image is sent as JPEG
MOST_BYTES = 1 << 26  # of a photograph from the browser


def scene_data(
    image: Picture, masks: Mapping[str, Mask], classes: ClassSet, target: Mask | None = None,
    evaluated: Collection[str] | None = None,
) -> Scene:  # fmt: skip
    """An image, its masks by name and its target for the browser; all labels are of these classes, or 255 for void.

    Args:
        evaluated: the classes with an IoU, by default all; pixels whose target is another class are void in it.

    Raises:
        ValueError: neither masks nor target, a mask of another size than the image, or a label outside the class set.
    """
    picture = to_image(image)
    size = height, width = tuple(picture.shape[1:])
    layers = dict(masks) | ({} if target is None else {TARGET: target})
    if not layers:
        raise ValueError("nothing to show beside the image: give at least one mask, or a target")
    labels = {}
    for name, mask in layers.items():
        try:
            labels[name] = label_map(mask, classes)
        except ValueError as error:
            raise ValueError(f"the mask of {name!r}: {error}") from None
        if labels[name].shape != size:
            raise ValueError(f"the mask of {name!r} is {labels[name].shape}, but the image {size}")
    iou: dict[str, Any] = dict.fromkeys(labels)
    counted = [evaluated is None or name in evaluated for name in classes.names]
    for name in labels.keys() - {TARGET} if target is not None else ():
        values = iou_of_image(labels[name], voided(labels[TARGET], counted), len(classes)).tolist()
        pairs = zip(values, counted, strict=True)
        iou[name] = [round(value, 4) if shown and not math.isnan(value) else None for value, shown in pairs]
    return {
        "width": width, "height": height, "image": _data_url(picture),
        "alt": "; ".join(f"{name}: {pictures.describe(mask, classes)}" for name, mask in labels.items()),
        "classes": [{"name": n, "color": list(c)} for n, c in zip(classes.names, classes.colors, strict=True)],
        "layers": [{"name": name, "labels": base64.b64encode(zlib.compress(m.tobytes(), 9)).decode(), "iou": iou[name]}
                   for name, m in labels.items()],
        "target": None if target is None else len(labels) - 1, "evaluated": counted,
    }  # fmt: skip


def voided(target: Mask, counted: Sequence[bool]) -> NDArray[np.uint8]:
    """A target uint8 (H,W) with 255 for classes that are not `counted` (one value for each class)."""
    table = np.full(256, IGNORE_INDEX, np.uint8)
    table[: len(counted)] = np.where(counted, np.arange(len(counted)), IGNORE_INDEX)
    return table[np.asarray(target)]


def _data_url(picture: Tensor) -> str:
    buffer = BytesIO()
    kind = "png" if picture[0].numel() <= LARGE else "jpeg"
    Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy()).save(buffer, kind, quality=92)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


class Viewer(anywidget.AnyWidget):
    """An image with the label maps of several models: side by side, classes on and off, a probe for single pixels.

    Attributes:
        data: see `scene_data`.
        state: the current view: mode ("one", "swipe", "side", "flicker", "error", "outcome", "agreement", "paint");
            left and right (indices of layers), opacity and swipe (0–1), hidden (class indices), outline, hatch; focus,
            the class whose true positives, false positives and false negatives the mode "outcome" paints; region, a
            box (left, top, right, bottom) in pixels to zoom to, or None; pen (class index), brush (radius in pixels)
            and tool ("brush", "erase", "fill", "pick") for painting.
        predictions: layer → prediction, for the scores that the probe shows.
        drawing: uint8 (H,W), the labels that the reader has painted; 255 where there are none.
        photograph_bytes: size of the largest photograph that is taken from the browser; 0 for none.
        on_photo: called with name and bytes of a photograph from the browser; None turns this off.
    """

    _esm = script("widget")
    data = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    photograph_bytes = traitlets.Int(0).tag(sync=True)

    def __init__(self, data: Mapping[str, Any], state: Mapping[str, Any] | None = None,
                 predictions: Mapping[str, Prediction] | None = None,
                 on_photo: Callable[[str, bytes], None] | None = None) -> None:  # fmt: skip
        super().__init__(data=dict(data), state=dict(state or {}), photograph_bytes=MOST_BYTES if on_photo else 0)
        self.predictions, self.on_photo = dict(predictions or {}), on_photo
        self.drawing = np.full((data["height"], data["width"]), IGNORE_INDEX, np.uint8)
        self._parts: list[bytes] = []
        self.on_msg(lambda _, message, buffers: self._receive(message, buffers))

    def show(self, data: Mapping[str, Any], predictions: Mapping[str, Prediction] | None = None, **state: Any) -> None:
        """Show another scene in the current view, with the changes in `state`; hidden classes are found by name."""
        last, (before, names) = len(data["layers"]) - 1, ([c["name"] for c in d["classes"]] for d in (self.data, data))
        shown = (
            self.state if isinstance(self.state.get("hidden", []), list | tuple) else {}
        )  # the page may send anything
        hidden = {name for k, name in enumerate(before) if k in shown.get("hidden", [])}
        kept = {**shown, "hidden": [k for k, name in enumerate(names) if name in hidden]}
        state = {k: min(v, last) if type(v) is int and k in ("left", "right") else v
                 for k, v in {**kept, **state}.items()}  # fmt: skip
        self.predictions = dict(predictions or {})
        if data != self.data:
            self.drawing = np.full((data["height"], data["width"]), IGNORE_INDEX, np.uint8)
        with self.hold_sync():
            self.state, self.data = state, dict(data)

    def _receive(self, message: Any, buffers: Sequence[Any] = ()) -> None:
        """Handle a message of the page; one with missing or wrong fields is answered with the kind "refused"."""
        data = bytes(buffers[0]) if len(buffers) == 1 else b""
        match message:
            case {"kind": "probe", "x": int(x), "y": int(y)} if 0 <= x < self.data["width"] and (
                0 <= y < self.data["height"]
            ):
                self.send({"kind": "probe", "x": x, "y": y, "readings": self.probe(x, y)})
            case {"kind": "drawing"} if len(data) == self.drawing.size:
                self.drawing = np.frombuffer(data, np.uint8).reshape(self.drawing.shape)
            case {"kind": "photo", "name": str(name), "part": int(part), "parts": int(parts)} if (
                self.on_photo and data and part in (0, len(self._parts))
            ):
                self._parts = [*(self._parts if part else []), data]
                self.send({"kind": "received", "count": part + 1, "parts": parts})
                if sum(map(len, self._parts)) > MOST_BYTES:
                    self._parts = []
                elif part + 1 == parts:
                    photo, self._parts = b"".join(self._parts), []
                    self.on_photo(name, photo)
            case _:
                self.send({"kind": "refused"})

    def probe(self, x: int, y: int) -> list[tuple[int, dict[str, float]]]:
        """(index, values) of each layer with a prediction, of one pixel.

        Values are the probability of the most probable class, its margin over the second, and the entropy in bits.
        """
        names = [layer["name"] for layer in self.data["layers"]]
        return [(names.index(name), _reading(p, x, y)) for name, p in self.predictions.items() if name in names]

    def figure(self) -> style.Figure:
        """The same as a static figure: the image and every layer in colours."""
        names, colors = zip(*((c["name"], tuple(c["color"])) for c in self.data["classes"]), strict=True)
        classes = ClassSet("shown", names, colors)
        images: dict[str, Any] = {"image": to_image(base64.b64decode(self.data["image"].partition(",")[2]))}
        masks = []
        for layer in self.data["layers"]:
            labels = zlib.decompress(base64.b64decode(layer["labels"]))
            masks.append(np.frombuffer(labels, np.uint8).reshape(self.drawing.shape))
            images[layer["name"]] = colorize(masks[-1], classes)
        figure = pictures.side_by_side(images, columns=4, alt=self.data["alt"])
        pictures.legend(figure, classes, *masks)
        return figure

    def to_html(self, title: str = "seglab") -> str:
        """The viewer as one HTML file, which needs neither a kernel nor a network."""
        return document(title, fragment(self.data, self.state))

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The widget, and its static figure for pages that show no widgets."""
        shown = super()._repr_mimebundle_(**kwargs)
        bundle, metadata = shown if isinstance(shown, tuple) else (shown, {})
        picture, about_picture = self.figure()._repr_mimebundle_()
        return dict(bundle or {}) | picture, dict(metadata or {}) | about_picture


def view(
    image: Picture, predictions: Mapping[str, Mask | Prediction], classes: ClassSet, target: Mask | None = None,
    **state: Any,
) -> Viewer:  # fmt: skip
    """A viewer for an image and the predictions of several models, all of these classes; 255 is void.

    Args:
        predictions: name → mask; or a `Prediction`, of which the probe also shows scores, margin and entropy.
        state: the first view, see `Viewer`.
    """
    scored = {name: p for name, p in predictions.items() if isinstance(p, Prediction)}
    masks = {name: p.mask if isinstance(p, Prediction) else p for name, p in predictions.items()}
    return Viewer(scene_data(image, masks, classes, target), state, scored)


def _reading(p: Prediction, x: int, y: int) -> dict[str, float]:
    """Probability of the most probable class, margin and entropy in bits."""
    probs = p.probs(rows=(y, y + 1))[:, 0, x].double()
    first, second = torch.cat([probs, probs.new_zeros(1)]).topk(2)[0].tolist()  # there may be one class only
    entropy = float(torch.special.entr(probs).sum() / np.log(2))
    return {"probability": first, "margin": first - second, "entropy": entropy}
