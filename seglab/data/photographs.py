"""Photographs in the packages scikit-image and matplotlib, for examples without a network."""

from importlib.resources import files
from pathlib import Path

_FOLDERS = (("skimage", "data"), ("matplotlib", "mpl-data/sample_data"))


def photograph(name: str) -> Path:
    """The file of a photograph, as "chelsea.png" (a cat; scikit-image) or "grace_hopper.jpg" (a person; matplotlib).

    Raises:
        ValueError: neither package holds a file of this name.
    """
    for package, folder in _FOLDERS:
        path = Path(str(files(package) / folder / name))
        if path.is_file():
            return path
    raise ValueError(f"neither scikit-image nor matplotlib has a photograph {name!r}; expected one as 'chelsea.png'")
