"""The viewer of label maps: `viewer.js` as a widget, as a page of its own, and as a part of other pages.

view(image, {"U-Net": mask, "FCN": other}, classes, target)            in a notebook
Path("street.html").write_text(view(…).to_html())                      for a browser, without kernel or network
"""

import base64
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets
from numpy.typing import ArrayLike
from PIL import Image
from torch import Tensor

from seglab.data.classes import IGNORE_INDEX, ClassSet
from seglab.data.images import Picture, to_image
from seglab.inference.prediction import Prediction
from seglab.masks.painting import colorize, label_map
from seglab.metrics.measures import iou_of_image
from seglab.viz import pictures, style
from seglab.viz.widgets.html import document, fragment, script

TARGET = "target"
LARGE = 512 * 512  # pixels; a larger image travels as JPEG
MOST_BYTES = 1 << 26  # of a photograph that somebody drops in


def scene_data(
    image: Picture, masks: Mapping[str, ArrayLike | Tensor], classes: ClassSet, target: ArrayLike | Tensor | None = None
) -> dict[str, Any]:
    """What `viewer.js` shows, JSON-ready; its first lines say what it holds.

    Args:
        image: as for `files.to_image`.
        masks: name → integer (H,W), what a model says, in these classes.
        target: integer (H,W), 255 is void.

    Raises:
        ValueError: nothing to show, a mask of another size than the image, or a label that is neither a class nor void.
    """
    picture = to_image(image)
    height, width = picture.shape[1:]
    layers = dict(masks) | ({} if target is None else {TARGET: target})
    if not layers:
        raise ValueError("nothing to show beside the image: give at least one mask, or a target")
    labels = {}
    for name, mask in layers.items():
        try:
            labels[name] = label_map(mask, classes)
        except ValueError as error:
            raise ValueError(f"the mask of {name!r}: {error}") from None
        if labels[name].shape != (height, width):
            raise ValueError(f"the mask of {name!r} is {labels[name].shape}, but the image {(height, width)}")
    truth = None if target is None else labels[TARGET]
    return {
        "width": width, "height": height, "image": _data_url(picture), "alt": _words(labels, classes),
        "classes": [{"name": n, "color": list(c)} for n, c in zip(classes.names, classes.colors, strict=True)],
        "layers": [{"name": name, "labels": _packed(mask), "iou": _iou(mask, truth, classes, name)}
                   for name, mask in labels.items()],
        "target": None if target is None else len(labels) - 1,
    }  # fmt: skip


def _data_url(picture: Tensor) -> str:
    buffer = BytesIO()
    kind = "png" if picture[0].numel() <= LARGE else "jpeg"
    Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy()).save(buffer, kind, quality=92)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _packed(mask: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
    return base64.b64encode(zlib.compress(mask.tobytes(), 9)).decode()


def _iou(mask: Any, target: Any, classes: ClassSet, name: str) -> list[float | None] | None:
    if target is None or name == TARGET:
        return None
    each = iou_of_image(mask, target, len(classes)).tolist()
    return [None if math.isnan(value) else round(value, 4) for value in each]


def _words(labels: Mapping[str, Any], classes: ClassSet) -> str:
    return "; ".join(f"{name}: {pictures.describe(mask, classes)}" for name, mask in labels.items())


class Viewer(anywidget.AnyWidget):
    """A scene to look at: models side by side, classes on and off, a probe for single pixels.

    Attributes:
        data: see `scene_data`.
        state: what is shown: mode ("one", "swipe", "side", "flicker", "error", "agreement", "paint"), left and right
            (places of layers), opacity and swipe (0–1), hidden (class indices), outline, hatch; pen (class index),
            brush (pixels) and erase for painting.
        predictions: layer → what a model said, for the probe's scores.
        drawing: uint8 (H,W), what the reader has painted; 255 where nothing is.
        on_photo: called with name and bytes of a photograph that was chosen or dropped in. Without it none is taken.
    """

    _esm = script("widget")
    data = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    takes_photographs = traitlets.Bool(False).tag(sync=True)

    def __init__(self, data: Mapping[str, Any], state: Mapping[str, Any] | None = None,
                 predictions: Mapping[str, Prediction] | None = None,
                 on_photo: Callable[[str, bytes], None] | None = None) -> None:  # fmt: skip
        super().__init__(data=dict(data), state=dict(state or {}), takes_photographs=on_photo is not None)
        self.predictions, self.on_photo = dict(predictions or {}), on_photo
        self.drawing = _nothing(data)
        self._pieces: list[bytes] = []
        self.on_msg(lambda _, message, buffers: self._hear(message, buffers))

    def show(self, data: Mapping[str, Any], predictions: Mapping[str, Prediction] | None = None) -> None:
        """Another scene, in the same place and the same view."""
        layers = len(data["layers"])
        kept = {k: min(v, layers - 1) if k in ("left", "right") else v for k, v in self.state.items()}
        self.predictions, self.drawing = dict(predictions or {}), _nothing(data)
        with self.hold_sync():
            self.state, self.data = kept, dict(data)

    def _hear(self, message: Mapping[str, Any], buffers: Sequence[Any] = ()) -> None:
        kind = message.get("kind")
        if kind == "probe":
            x, y = int(message["x"]), int(message["y"])
            self.send({"kind": "probe", "x": x, "y": y, "sentences": self.probe(x, y)})
        elif kind == "drawing" and len(drawn := bytes(buffers[0])) == self.drawing.size:
            self.drawing = np.frombuffer(drawn, np.uint8).reshape(self.drawing.shape)
        elif kind == "photo" and self.on_photo:
            self._pieces = [*self._pieces, bytes(buffers[0])] if message["part"] else [bytes(buffers[0])]
            if sum(map(len, self._pieces)) > MOST_BYTES:
                self._pieces = []
            if message["part"] + 1 == message["parts"] and self._pieces:
                photo, self._pieces = b"".join(self._pieces), []
                self.on_photo(str(message["name"]), photo)

    def probe(self, x: int, y: int) -> list[tuple[int, str]]:
        """What models with predictions say of a pixel: (place of the layer, a sentence) each."""
        names = [layer["name"] for layer in self.data["layers"]]
        return [(names.index(name), _sentence(p, x, y)) for name, p in self.predictions.items() if name in names]

    def figure(self) -> style.Figure:
        """The same without anything to move: the image and every layer in colours."""
        classes = [(c["name"], tuple(c["color"])) for c in self.data["classes"]]
        known = ClassSet("shown", tuple(n for n, _ in classes), tuple(c for _, c in classes))
        shown: dict[str, Any] = {"image": _image_of(self.data)}
        shown |= {layer["name"]: colorize(_unpacked(layer, self.data), known) for layer in self.data["layers"]}
        figure = pictures.side_by_side(shown, columns=4, alt=self.data["alt"])
        pictures.legend(figure, known, *(_unpacked(layer, self.data) for layer in self.data["layers"]))
        return figure

    def to_html(self, title: str = "seglab") -> str:
        """The viewer as a page: one file, which needs neither a kernel nor a network."""
        return document(title, fragment(self.data, self.state))

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """As a widget; and as a picture, for pages that show no widgets."""
        shown = super()._repr_mimebundle_(**kwargs)
        bundle, metadata = shown if isinstance(shown, tuple) else (shown, {})
        picture, told = self.figure()._repr_mimebundle_()
        return dict(bundle or {}) | picture, dict(metadata or {}) | told


def view(
    image: Picture,
    said: Mapping[str, ArrayLike | Tensor | Prediction],
    classes: ClassSet,
    target: ArrayLike | Tensor | None = None,
    **state: Any,
) -> Viewer:
    """Look at an image and at what models say of it.

    Args:
        said: name → mask (H,W), or a prediction; of a prediction the probe tells scores, margin and entropy, too.
        classes: of all of them.
        state: what is to be seen at first, see `Viewer`.
    """
    predictions = {name: p for name, p in said.items() if isinstance(p, Prediction)}
    masks = {name: p.mask if isinstance(p, Prediction) else p for name, p in said.items()}
    return Viewer(scene_data(image, masks, classes, target), state, predictions)


def _nothing(data: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.full((data["height"], data["width"]), IGNORE_INDEX, np.uint8)


def _sentence(p: Prediction, x: int, y: int) -> str:
    """The two likeliest classes of a pixel, and how undecided the model is."""
    probs = p.probs(rows=(y, y + 1))[:, 0, x].double()
    (first, second), names = probs.topk(2), p.classes.names
    said = ", ".join(f"{names[int(k)]} {v:.0%}" for v, k in zip(*(first, second), strict=True))
    entropy = float(torch.special.entr(probs).sum() / np.log(2))
    return f"{said}; margin {float(first[0] - first[1]):.2f}, entropy {entropy:.1f} bits"


def _image_of(data: Mapping[str, Any]) -> Tensor:
    encoded = base64.b64decode(data["image"].partition(",")[2])
    return to_image(Image.open(BytesIO(encoded)))


def _unpacked(layer: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    labels = zlib.decompress(base64.b64decode(layer["labels"]))
    return np.frombuffer(labels, np.uint8).reshape(data["height"], data["width"])
