"""Models of segmentation_models_pytorch, `smp:OWNER/NAME[@REVISION]` or `smp:DIR`, as `save_pretrained` writes them.

The configuration states how many classes there are, neither their names nor a size. The normalisation is that of
the encoder's pretrained weights, where the configuration names these.
"""

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from seglab.models.adapters import SegModel
from seglab.models.sources.hf import HubModel
from seglab.models.sources.hub import folder_of, label_of, read_json, revision_of
from seglab.models.sources.probing import probe
from seglab.models.sources.stated import Stated
from seglab.models.spec import ModelSpec


def smp_model(name: str, given: Stated) -> SegModel:
    """The model of a repository or folder; `given` counts more than what it states.

    With two classes, one channel of logits is enough: its sigmoid is the probability of the second class.

    Raises:
        ValueError: the files cannot be found, fetched or read; the model takes other images than RGB; something is
            neither stated there nor given.
    """
    source, label = f"smp:{name}", label_of("smp", name)
    folder = folder_of(source, name)
    config = read_json(folder / "config.json")
    mean, std, bgr = _colors(config)
    known = given.over(Stated(None, None, mean, std)).complete(source)
    assert known.classes is not None
    if config.get("in_channels", 3) != 3:
        raise ValueError(f"{source} takes images of {config['in_channels']} channels; seglab's images have three, RGB")
    spec = ModelSpec(label, label, "own", "smp", None, _build, HubModel, "encoder")
    model = HubModel(_network(folder, source, config), known.classes, spec)
    model.short, model.mean, model.std, model.bgr = known.short, known.mean or (), known.std or (), bgr
    model.eval()
    exact = (known.size, known.size) if isinstance(known.size, int) else None
    model.facts = {"source": source if revision_of(folder) else label, "revision": revision_of(folder),
                   "stride": probe(model, exact)}  # fmt: skip
    return model


def _network(folder: Path, source: str, config: dict[str, Any]) -> Any:
    """The network with its weights, without the activation at its end and without pretrained weights of the encoder."""
    import segmentation_models_pytorch as smp

    kind: Any = getattr(smp, str(config.get("_model_class")), None)
    if not isinstance(kind, type) or not issubclass(kind, smp.base.SegmentationModel):
        raise ValueError(
            f"{source} is no model of segmentation_models_pytorch: its config.json names the class"
            f" {config.get('_model_class')!r}; expected one that its save_pretrained wrote"
        )
    build: Any = kind
    try:
        with redirect_stdout(io.StringIO()):  # it prints where it loads from
            return build.from_pretrained(str(folder), encoder_weights=None, activation=None, local_files_only=True,
                                     strict=True)  # fmt: skip
    except Exception as error:  # an unknown encoder, tensors of other shapes, a damaged file
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{source}: segmentation_models_pytorch cannot load it: {reason}") from error


def _colors(config: dict[str, Any]) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None, bool]:
    """Mean and std of the encoder's pretrained weights for RGB in 0–1, and whether it takes BGR; None where unknown."""
    from segmentation_models_pytorch.encoders import get_preprocessing_params

    if not config.get("encoder_weights"):
        return None, None, False
    try:
        known = get_preprocessing_params(config["encoder_name"], config["encoder_weights"])
    except Exception:  # not in timm's tables, and not in the cache without a network
        return None, None, False
    bgr, top = known["input_space"] == "BGR", known["input_range"][1]
    mean, std = (tuple(x / top for x in (reversed(known[key]) if bgr else known[key])) for key in ("mean", "std"))
    return mean, std, bgr


def _build(num_classes: int, aux: bool) -> Any:
    raise ValueError("a model of a repository is built with its weights; load_model('smp:OWNER/NAME')")
