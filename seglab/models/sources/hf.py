"""Models of transformers, `hf:OWNER/NAME[@REVISION]` or `hf:DIR`, as its `save_pretrained` writes them.

Semantic segmentation (SegFormer, UPerNet, BEiT, DPT, MobileViT, Data2Vec, MobileNetV2, …) and models that classify
masks (Mask2Former, MaskFormer, OneFormer, EoMT). Class names are `id2label` of the configuration; size and
normalisation are those of the image processor. Images keep their proportions where the network allows it: of a
processor's height and width the smaller one becomes the short side.
"""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from seglab.data.classes import ClassSet
from seglab.models.adapters import Mask2FormerModel, PlainModel, SegModel, semantic_scores
from seglab.models.sources.hub import folder_of, label_of, read_json, revision_of
from seglab.models.sources.probing import probe
from seglab.models.sources.stated import Stated, named_classes
from seglab.models.spec import Criterion, ModelSpec

_UNIVERSAL = ("mask2former", "maskformer", "oneformer", "eomt", "eomt_dinov3")
_DEFAULTS = (  # entries of a processor that its file may leave out
    "do_normalize", "do_rescale", "do_resize", "do_flip_channel_order", "do_split_image", "image_mean", "image_std",
    "size",
)  # fmt: skip
_LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


class HubModel(PlainModel):
    """A module whose output has logits (B,K,h',w'), on images in the order of channels that it was trained with."""

    bgr = False

    def heads(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        return super().heads(images.flip(1) if self.bgr else images)


class UniversalModel(Mask2FormerModel):
    """A module that predicts a class and a mask for each query.

    Attributes:
        task: the tokens of "the task is semantic" (1,L), which OneFormer takes; None for other models.
        window: side of the squares that EoMT takes; None for other models. An image with this short side is cut into
            the fewest squares that cover it, and scores are averaged where squares overlap.
    """

    task: Tensor | None = None
    window: int | None = None

    def heads(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        return (self._scores(images) if self.window is None else self._in_windows(images, self.window)), None

    def _scores(self, images: Tensor, size: int | None = None) -> Tensor:
        """Scores at the stride of the masks; at `size` × `size`, to which EoMT interpolates the logits of the masks."""
        task = {} if self.task is None else {"task_inputs": self.task.to(images.device).expand(len(images), -1)}
        output = self.net(pixel_values=images, **task)
        masks = output.masks_queries_logits
        masks = masks if size is None else interpolate(masks, (size, size), mode="bilinear")
        return semantic_scores(output.class_queries_logits, masks)

    def _in_windows(self, images: Tensor, side: int) -> Tensor:
        """Scores (B,K,h,w) of overlapping squares along the longer side, as EomtImageProcessor places them."""
        axis = -2 if images.shape[-2] > images.shape[-1] else -1
        length = images.shape[axis]
        count = math.ceil(length / side)
        step = side - (count * side - length) / max(count - 1, 1)
        sums = images.new_zeros(len(images), len(self.classes), *images.shape[-2:])
        counts = images.new_zeros(images.shape[-2:])
        for i in range(count):
            start = int(i * step)
            sums.narrow(axis, start, side).add_(self._scores(images.narrow(axis, start, side), side))
            counts.narrow(axis, start, side).add_(1)
        return sums / counts

    def loss(self, images: Tensor, targets: Tensor, criterion: Criterion | None = None) -> Tensor:
        if self.net.config.model_type != "mask2former":
            raise ValueError(f"seglab does not train {self.label}; of the models that classify masks, only Mask2Former")
        return super().loss(images, targets, criterion)


def hf_model(name: str, given: Stated) -> SegModel:
    """The model of a repository or folder; `given` counts more than what it states.

    Raises:
        ValueError: the files cannot be found, fetched or read, are of another task, or hold pickled weights only;
            something is neither stated there nor given.
    """
    source = f"hf:{name}"
    folder = folder_of(source, name)
    config, universal = _config(folder, source)
    found = _input_of(folder)
    label = label_of("hf", name)
    known = given.over(Stated(_classes(config, source, label), found.size, found.mean, found.std, found.exact))
    known = known.complete(source)
    assert known.classes is not None
    net = _network(folder, source, config, universal)
    adapter = UniversalModel if universal else HubModel
    spec = ModelSpec(label, label, "own", "transformers", None, _build, adapter, "")
    model = adapter(net, known.classes, spec)
    model.short, model.mean, model.std = known.short, known.mean or (), known.std or ()
    if isinstance(model, UniversalModel) and config.model_type == "oneformer":
        model.task = _task_tokens(folder, source, config.task_seq_len)
    model.eval()
    values = _processor(folder)
    if isinstance(model, HubModel):
        model.bgr = bool(values.get("do_flip_channel_order"))
    elif isinstance(known.short, int) and values.get("do_split_image"):
        model.window = known.short
    stride = 1 if universal and model.window else probe(model, known.exact)
    model.facts = {"source": source if revision_of(folder) else label, "revision": revision_of(folder),
                   "stride": stride}  # fmt: skip
    return model


def _config(folder: Path, source: str) -> tuple[Any, bool]:
    """The configuration, and whether it is of a model that classifies masks."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES as SEMANTIC

    try:
        config = AutoConfig.from_pretrained(folder, **_LOCAL)
    except Exception as error:  # an unknown type, code that would have to run, values of other types
        raise ValueError(f"{source}: transformers cannot use its config.json: {_first_line(error)}") from error
    architecture = (getattr(config, "architectures", None) or [""])[0]
    universal = config.model_type in _UNIVERSAL
    if not universal and (config.model_type not in SEMANTIC or "Segmentation" not in (architecture or "Segmentation")):
        raise ValueError(
            f"{source} is a {architecture or config.model_type}, which does not segment images; expected a model for"
            " semantic segmentation (as SegformerForSemanticSegmentation), or Mask2Former, MaskFormer, OneFormer, EoMT"
        )
    return config, universal


def _network(folder: Path, source: str, config: Any, universal: bool) -> Any:
    from transformers import AutoModelForSemanticSegmentation, AutoModelForUniversalSegmentation

    auto = AutoModelForUniversalSegmentation if universal else AutoModelForSemanticSegmentation
    options = _LOCAL | {"use_safetensors": True, "output_loading_info": True, "dtype": torch.float32,
                        "ignore_mismatched_sizes": True}  # fmt: skip
    try:
        net, report = auto.from_pretrained(folder, config=config, **options)
    except Exception as error:
        raise ValueError(f"{source}: transformers cannot load its weights: {_first_line(error)}") from error
    if wrong := sorted({*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}):
        raise ValueError(
            f"{source}: its file holds no fitting weights for {len(wrong)} tensors of {type(net).__name__}, as"
            f" {wrong[0]!r}, which would stay random; expected a model that was trained for segmentation"
        )
    return net


def _classes(config: Any, source: str, label: str) -> ClassSet | None:
    """The classes of `id2label`; None where they are transformers' LABEL_0, LABEL_1, …"""
    names = [str(text) for _, text in sorted((int(index), text) for index, text in config.id2label.items())]
    if all(text == f"LABEL_{index}" for index, text in enumerate(names)):
        return None
    try:
        return named_classes(label, names)
    except ValueError as error:
        raise ValueError(
            f"{source}: the names in id2label cannot be used: {error}; give the names with classes"
        ) from error


def _processor(folder: Path) -> dict[str, Any]:
    """The values of the image processor, from one of the files in which transformers stores them; empty without one."""
    import transformers

    nested = read_json(folder / "processor_config.json").get("image_processor")
    values = nested if isinstance(nested, dict) else read_json(folder / "preprocessor_config.json")
    name = str(values.get("image_processor_type") or values.get("feature_extractor_type"))
    kind = getattr(transformers, name.replace("FeatureExtractor", "ImageProcessor").removesuffix("Fast"), None)
    return {key: getattr(kind, key, None) for key in _DEFAULTS if values and kind} | values


def _input_of(folder: Path) -> Stated:
    """Size and normalisation of the image processor, for colours from 0 to 1."""
    values = _processor(folder)
    if not values:
        return Stated()
    mean, std = values.get("image_mean"), values.get("image_std")
    if not values.get("do_normalize", mean is not None):
        mean, std = [0.0] * 3, [1.0] * 3
    # (x · factor − mean) / std of x from 0 to 255 is (x / 255 − mean / unit) / (std / unit) with unit = 255 · factor.
    factor = values.get("rescale_factor", 1 / 255) if values.get("do_rescale", True) else 1.0
    unit = 1.0 if abs(255 * factor - 1) < 1e-9 else 255 * factor
    mean, std = (tuple(number / unit for number in numbers) if numbers else None for numbers in (mean, std))
    size, exact = _size(values) if values.get("do_resize", True) else ("original", None)
    return Stated(None, size, mean, std, exact)


def _size(values: dict[str, Any]) -> tuple[int | None, tuple[int, int] | None]:
    """Short side, and height and width where both are stated."""
    size = values.get("size")
    if isinstance(size, dict):
        if size.get("shortest_edge"):
            return size["shortest_edge"], None
        size = (size.get("height"), size.get("width"))
    elif isinstance(size, int):  # of older versions
        size = (size, size)
    if not isinstance(size, tuple) or not all(isinstance(side, int) and side > 0 for side in size):
        return None, None
    return min(size), size


def _task_tokens(folder: Path, source: str, length: int) -> Tensor:
    """The tokens of OneFormer's task, zeros behind its end, as OneFormerProcessor makes them."""
    from transformers import CLIPTokenizer

    try:
        tokens = CLIPTokenizer.from_pretrained(folder, local_files_only=True)(
            ["the task is semantic"], padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
    except Exception as error:
        raise ValueError(
            f"{source}: OneFormer needs its tokenizer, which cannot be read: {_first_line(error)}"
        ) from error
    return tokens["input_ids"] * tokens["attention_mask"]


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _build(num_classes: int, aux: bool) -> Any:
    raise ValueError("a model of a repository is built with its weights; load_model('hf:OWNER/NAME')")
