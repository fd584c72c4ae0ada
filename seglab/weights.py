"""Trained weights: what is known about each, and where those lie that travel with the workbook."""

from dataclasses import dataclass
from pathlib import Path

from seglab.places import share_dir

ZOO = "zoo"  # the library that brings a mini's weights is seglab itself


@dataclass(frozen=True)
class Weights:
    """One set of trained weights of a model.

    Attributes:
        classes: key in `CLASS_SETS`, what they know; None where only a backbone is trained.
        short: short side in pixels of the images that they expect.
        source: `ZOO`, or what the library that publishes them calls them.
        num_bytes: of the download; 0 for what travels.
        trained_on: in words.
        licence: of the weights.
        miou: as published, 0–1, and `measured_on` what; None where nobody published one.
    """

    classes: str | None
    short: int | None
    source: str
    num_bytes: int = 0
    trained_on: str = ""
    licence: str = ""
    miou: float | None = None
    measured_on: str = ""


MINI = {
    "toytown": Weights("street", 192, ZOO, trained_on="Toytown train", licence="MIT, like seglab itself"),
    "camvid": Weights("street", 240, ZOO, trained_on="CamVid train, from the Toytown weights",
                      licence="MIT; CamVid's authors state no licence for the photographs"),
}  # fmt: skip


def zoo_dir() -> Path:
    """Where the minis' weights and cards lie."""
    share = share_dir()
    if share is None:
        raise ValueError("the minis' weights were not installed; install seglab from its folder: pip install .")
    return share / "data" / "zoo"


def zoo_path(model: str, name: str) -> Path:
    """The checkpoint of a mini.

    Raises:
        ValueError: it is not there.
    """
    path = zoo_dir() / f"{model}-{name}.safetensors"
    if not path.is_file():
        raise ValueError(f"{path} is missing; restore it, or train it anew: python -m seglab.zoo train {model}:{name}")
    return path
