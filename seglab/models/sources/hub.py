"""The files of a model: of a folder, or of a repository of Hugging Face, which is downloaded on first use.

Only data are read: configurations as JSON and tensors as safetensors. Code and pickled weights are not even downloaded.
"""

import json
from pathlib import Path
from typing import Any

_DATA = ["*.json", "*.safetensors", "merges.txt", "vocab.txt"]


def folder_of(source: str, name: str) -> Path:
    """The folder with the files of `"OWNER/NAME"`, `"OWNER/NAME@REVISION"` or of a folder on this machine.

    Raises:
        ValueError: neither a folder nor a repository; a repository that can be neither found nor fetched; a folder
            without config.json or without safetensors; a downloaded file with another SHA-256 than announced.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = _downloaded(source, name)
    if not (folder / "config.json").is_file():
        raise ValueError(f"{source} holds no config.json; expected a folder or repository as save_pretrained writes it")
    if not any(folder.glob("*.safetensors")):
        raise ValueError(
            f"{source} holds no weights as safetensors, and seglab opens no pickled weights (.bin, .pth), which can run"
            " code; save the model again with save_pretrained(folder) where you trust it"
        )
    return folder


def _downloaded(source: str, name: str) -> Path:
    from huggingface_hub import constants, snapshot_download

    from seglab.models.weights.published import is_announced

    repository, _, revision = name.partition("@")
    if repository.count("/") != 1 or repository.startswith((".", "/", "~")):
        raise ValueError(f"{source}: there is no folder {name!r}, and a repository is written as OWNER/NAME")
    try:
        folder = Path(snapshot_download(repository, revision=revision or None, allow_patterns=_DATA))
    except Exception as error:  # of the network, of the server or of the cache: without a common class
        reason = (str(error).splitlines() or [""])[0].rstrip(".") or type(error).__name__
        raise ValueError(
            f"{source} cannot be fetched from {constants.ENDPOINT}/{repository}: {reason}. Check its name and the"
            " network, or copy the repository to this machine and give its folder instead of its name"
        ) from error
    for path in folder.glob("*.safetensors"):
        if not is_announced(path):
            raise ValueError(f"{path} is damaged: its SHA-256 is not the announced one; delete it, and load it again")
    return folder


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file; empty where there is no such file.

    Raises:
        ValueError: the file holds something else.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds {type(content).__name__}; expected fields")
    return content


def label_of(kind: str, name: str) -> str:
    """The name of such a model in tables: that of the repository; of a folder its last part, without machine paths."""
    folder = Path(name).expanduser()
    return f"{kind}:{folder.resolve().name if folder.is_dir() else name}"


def revision_of(folder: Path) -> str | None:
    """The commit of a downloaded repository; None for a folder."""
    return folder.name if folder.parent.name == "snapshots" else None
