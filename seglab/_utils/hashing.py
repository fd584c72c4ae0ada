"""Hashes that identify files, weights and the code that decides a measurement."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor


def sha256_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; reads in blocks, so size does not matter."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_state(state: Mapping[str, "Tensor"]) -> str:
    """SHA-256 of weights: of every tensor's name, dtype, shape and bytes, in the order of the names."""
    import torch

    total = hashlib.sha256()
    for name, value in sorted(state.items()):
        total.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        total.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def code_version() -> str:
    """Version of seglab, and twelve digits of the hash of its source: another one if a line differs."""
    from seglab import __version__

    sources = sorted(Path(__file__).parent.glob("*.py"))
    listing = "".join(f"{sha256_file(path)}  {path.name}\n" for path in sources)
    return f"{__version__} {hashlib.sha256(listing.encode()).hexdigest()[:12]}"
