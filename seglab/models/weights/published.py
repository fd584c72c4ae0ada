"""Published weights: fetched by the libraries that publish them, into these libraries' own caches.

torchvision's lie in `$TORCH_HOME/hub/checkpoints`, those for transformers and smp in `$HF_HOME/hub`. What lies there is
used without asking the network.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from huggingface_hub import constants, file_exists, hf_hub_download
from huggingface_hub.file_download import repo_folder_name
from torch import Tensor

from seglab._utils.download import human
from seglab._utils.errors import differences, unknown
from seglab._utils.hashing import sha256_file
from seglab.data.classes import CLASS_SETS, class_set_fields
from seglab.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from seglab.models.registry import MINI, MODELS
from seglab.models.spec import ZOO, ModelSpec

# What a configuration of transformers can change without changing the shape of any weight.
_DECISIVE = (
    "hidden_act", "activation_function", "layer_norm_eps", "num_attention_heads", "num_heads", "window_size",
    "strides", "feature_strides", "common_stride", "pre_norm", "reshape_last_stage",
)  # fmt: skip


def labels() -> list[str]:
    """`MODEL:WEIGHTS` of everything that can be fetched."""
    return [f"{m}:{name}" for m, spec in MODELS.items() for name, row in spec.weights.items() if row.source != ZOO]


def resolve(label: str) -> tuple[ModelSpec, str]:
    """`"segformer_b0:cityscapes"` → its row of `MODELS`, "cityscapes"; by default the first weights.

    Raises:
        ValueError: nothing of this name is published.
    """
    model, _, name = label.partition(":")
    if model in MODELS and not name:
        name = next(iter(MODELS[model].weights))
    if model in MODELS and MODELS[model].weights is MINI:
        raise ValueError(f"the weights of {model} travel with seglab; there is nothing to fetch")
    if f"{model}:{name}" not in labels():
        raise unknown("published weights", label, labels())
    return MODELS[model], name


def state(spec: ModelSpec, name: str) -> dict[str, Tensor]:
    """Published weights of a model, fetched if they are not here yet.

    Returns:
        A state dict with the keys of the library that is installed; of the backbone alone where nothing else is
        published.

    Raises:
        ValueError: they can be neither found nor fetched, or are damaged; or they are not for this architecture, or
            not for these classes in this order.
    """
    return _READERS[spec.library](spec, name)


def facts(spec: ModelSpec, name: str) -> dict[str, Any]:
    """What is known about published weights, in the form in which a checkpoint states it."""
    row = spec.weights[name]
    return {
        "model": spec.name, "classes": class_set_fields(CLASS_SETS[row.classes]) if row.classes else None,
        "aux": spec.has_aux, "short": row.short, "source": row.source, "licence": row.licence,
        "trained on": row.trained_on,
    }  # fmt: skip


def files(spec: ModelSpec, name: str) -> list[Path]:
    """Where the files of published weights lie in the caches, or would lie. The last one holds the tensors."""
    if spec.library == "torchvision":
        return [cache_roots()["torch"] / PurePosixPath(_address(spec, name)).name]
    folder, small = _snapshot(spec, name), ["config.json"]
    if spec.library == "transformers":
        small.append("preprocessor_config.json")
    pickled = not (folder / "model.safetensors").is_file() and (folder / "pytorch_model.bin").is_file()
    return [folder / file for file in (*small, "pytorch_model.bin" if pickled else "model.safetensors")]


def is_cached(spec: ModelSpec, name: str) -> bool:
    """Whether published weights can be used without a network."""
    if spec.library != "torchvision" and not repository(spec.weights[name].source).is_dir():
        return False  # without having to import smp
    return all(path.is_file() for path in files(spec, name))


def _torchvision(spec: ModelSpec, name: str) -> dict[str, Tensor]:
    from torchvision.models import get_model_weights

    weights = get_model_weights(spec.name)[spec.weights[name].source]
    with _advice(spec, name):
        tensors = weights.get_state_dict(progress=True, check_hash=True, weights_only=True, map_location="cpu")
    _check_order(weights.meta["categories"], spec, name)
    return dict(tensors)


def _transformers(spec: ModelSpec, name: str) -> dict[str, Tensor]:
    """Read by transformers itself, which translates the keys that its older versions used."""
    with torch.device("meta"):
        ours: Any = spec.build(2, False)  # for its type and its configuration
    with _advice(spec, name):
        _download(spec, name)
        folder = files(spec, name)[0].parent
        theirs, report = type(ours).from_pretrained(folder, local_files_only=True, output_loading_info=True)
        seen_as = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    labels = theirs.config.id2label
    _check_order([labels[i] for i in sorted(labels)], spec, name)
    colours = {"image_mean": list(IMAGENET_MEAN), "image_std": list(IMAGENET_STD)}
    expected = _decisive(ours.config) | colours
    said = _decisive(theirs.config) | {key: [round(x, 3) for x in seen_as.get(key, colours[key])] for key in colours}
    if other := ", ".join(sorted(report["missing_keys"])[:3]) or differences(said, expected):
        raise ValueError(f"{spec.weights[name].source} has other weights than seglab's {spec.title} needs: {other}")
    return theirs.state_dict()


def _smp(spec: ModelSpec, name: str) -> dict[str, Tensor]:
    from segmentation_models_pytorch.encoders import get_encoder

    encoder, weights = _encoder(spec, name)
    with _advice(spec, name):
        _download(spec, name)
        return get_encoder(encoder, weights=weights).state_dict()


_READERS: dict[str, Callable[[ModelSpec, str], dict[str, Tensor]]] = {
    "torchvision": _torchvision, "transformers": _transformers, "smp": _smp,
}  # fmt: skip


def _decisive(config: Any) -> dict[str, Any]:
    values = json.loads(config.to_json_string(use_diff=False))  # lists, where Python has tuples and JSON has none
    parts = {"": values, "backbone ": values.get("backbone_config") or {}}
    return {f"{part}{key}": known[key] for part, known in parts.items() for key in _DECISIVE if key in known}


def _check_order(names: Sequence[str], spec: ModelSpec, name: str) -> None:
    """The index of a class is all that a label map holds of it, so the published order has to be ours."""
    ours = CLASS_SETS[spec.weights[name].classes or ""].names
    wrong = [(i, a, b) for i, (a, b) in enumerate(zip(map(_plain, names), ours, strict=False)) if a != b]
    moved = [there for _, there, _ in wrong if there in ours]  # what has another name here may be the same thing
    if len(names) != len(ours) or moved or 2 * len(wrong) > len(ours):
        first = "; index {}: {!r} there, {!r} here".format(*wrong[0]) if wrong else ""
        raise ValueError(
            f"{spec.name}:{name} was published with other classes, or in another order, than seglab has them:"
            f" {len(names)} there, {len(ours)} here{first}"
        )


def _plain(name: str) -> str:
    """`"__background__"`, `"bed "`, `"road, route"` → "background", "bed", "road"."""
    return name.partition(",")[0].strip("_ ").lower()


def cache_roots() -> dict[str, Path]:
    """The two caches."""
    return {"torch": Path(torch.hub.get_dir()) / "checkpoints", "huggingface": Path(constants.HF_HUB_CACHE)}


def repository(source: str) -> Path:
    """The folder of the hub's cache that belongs to a repository."""
    return cache_roots()["huggingface"] / repo_folder_name(repo_id=source, repo_type="model")


def _snapshot(spec: ModelSpec, name: str) -> Path:
    """The folder of a revision."""
    folder, revision = repository(spec.weights[name].source), _revision(spec, name)
    ref = folder / "refs" / revision
    return folder / "snapshots" / (ref.read_text().strip() if ref.is_file() else revision)


def _revision(spec: ModelSpec, name: str) -> str:
    """smp pins the version of its weights; of the others it is the newest."""
    if spec.library != "smp":
        return "main"
    from segmentation_models_pytorch.encoders import encoders

    encoder, weights = _encoder(spec, name)
    return encoders[encoder]["pretrained_settings"][weights]["revision"]


def _encoder(spec: ModelSpec, name: str) -> tuple[str, str]:
    """`"smp-hub/resnet34.imagenet"` → "resnet34", "imagenet"."""
    encoder, _, weights = PurePosixPath(spec.weights[name].source).name.partition(".")
    return encoder, weights


def _download(spec: ModelSpec, name: str) -> None:
    """Have all files: tensors as safetensors if there are, else as a pickle, which is read with `weights_only`."""
    wanted = files(spec, name)
    if all(path.is_file() for path in wanted):
        return
    where: dict[str, Any] = {"repo_id": spec.weights[name].source, "revision": _revision(spec, name)}
    # Asked first, because this fails at once without a network, where hf_hub_download tries for half a minute.
    safe = file_exists(filename="model.safetensors", **where)
    for file in (*(path.name for path in wanted[:-1]), "model.safetensors" if safe else "pytorch_model.bin"):
        _verify(Path(hf_hub_download(filename=file, **where)))


def _verify(path: Path) -> None:
    """Large files are links to a blob that is named by their SHA-256. The hub's library looks at their size only."""
    announced = path.readlink().name if path.is_symlink() else ""
    if len(announced) == 64 and sha256_file(path) != announced:
        blob = path.parent / path.readlink()
        path.unlink()
        blob.unlink()
        raise OSError(f"{path.name} did not arrive as it was announced, and was deleted")


@contextmanager
def _advice(spec: ModelSpec, name: str) -> Iterator[None]:
    """Whatever a library raises when there is no network or a file is damaged: say what can be done."""
    try:
        yield
    except Exception as error:
        raise ValueError(_sentence(spec, name, error)) from error


def _sentence(spec: ModelSpec, name: str, error: Exception) -> str:
    label, paths = f"{spec.name}:{name}", files(spec, name)
    reason = (str(error).splitlines() or [""])[0].rstrip(".") or type(error).__name__
    missing = [path for path in paths if not path.is_file()]
    if not missing:
        return f"{paths[-1]} cannot be read: {reason}. Delete it, and fetch it again: seglab fetch {label}"
    what, place = missing[-1].name, f"at {missing[-1]}"
    if len(missing) > 1:
        what, place = ", ".join(path.name for path in missing), f"into {missing[-1].parent}"
    mini = next(other for other in MODELS.values() if other.family == spec.family and other.weights is MINI)
    return (
        f"{what} ({human(spec.weights[name].num_bytes)}), the weights of {label}, cannot be fetched from"
        f" {_address(spec, name)}: {reason}. With a network, try again. Without one: on a machine that has one,"
        f" seglab fetch {label} --to DIR, and here, seglab fetch --from DIR; or put {what} {place}. Meanwhile"
        f" {mini.name} does the same job and needs no download; it knows the eleven street classes."
    )


def _address(spec: ModelSpec, name: str) -> str:
    source = spec.weights[name].source
    if spec.library != "torchvision":
        return f"{constants.ENDPOINT}/{source}"
    from torchvision.models import get_model_weights

    return get_model_weights(spec.name)[source].url
