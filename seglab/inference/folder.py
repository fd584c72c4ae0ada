"""Predictions for many photographs, written into one folder: a mask and an overlay for each, and one table.

The file of a mask stores the settings it was made with and its rows of the table. The same call, interrupted and
started again, continues with the first missing photograph, and a mask that is passed on names the weights it is from.
Annotation files are written from the files of the masks, so that they can be added later without predicting again.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm.auto import tqdm

from seglab import __version__
from seglab._utils.errors import unknown
from seglab._utils.hashing import sha256_file, sha256_state
from seglab._utils.paths import replacing
from seglab._utils.text import write_csv
from seglab.data.formats.writing import WRITERS, LabelMap, annotation_file
from seglab.data.images import open_image, to_image
from seglab.data.labels import read_mask, write_mask
from seglab.inference.large import Advance, mask_and_table, painted
from seglab.inference.prediction import fast_model
from seglab.inference.runtimes.choice import TORCH
from seglab.inference.tiles import tiles
from seglab.masks.painting import overlay
from seglab.models.adapters import SegModel

FORMATS = ("masks", *WRITERS)
_BAR = "{percentage:3.0f}%|{bar}| {n:.1f}/{total} images [{elapsed}<{remaining}]"


def segment(
    model: SegModel,
    paths: Sequence[Path],
    out: Path,
    *,
    tile: tuple[int, int] | None = None,
    precision: str = "float32",
    alpha: float = 0.6,
    format: str = "masks",
    progress: bool = True,
    runtime: str = TORCH,
) -> tuple[pd.DataFrame, list[str]]:
    """Write NAME_mask.png and NAME_overlay.png for each photograph, and table.csv; finished ones are kept.

    An annotation file lists the photographs of this call by their file names and their upright sizes.

    Args:
        paths: of the photographs, see `data.images.image_paths`.
        out: the folder to write to; it must not hold the photographs.
        tile, precision, runtime: see `predict`.
        alpha: weight of the class colour in overlays, 0 to 1.
        format: "masks" for no more than that; "coco" adds annotations/instances_predicted.json (see `write_coco`),
            "panoptic" adds annotations/panoptic_predicted.json and its PNG files (see `write_panoptic`).

    Returns:
        The tables of all photographs, see `Prediction.table`; and an error message for each that could not be used.

    Raises:
        ValueError: `out` holds photographs; an option is invalid.
        OSError: `out` cannot be written to.
    """
    if out.resolve() in {folder.resolve() for folder in {path.parent for path in paths}}:
        raise ValueError(f"{out} holds the pictures, and masks would be mixed with them; choose another folder")
    _check_options(model, tile, alpha, format)
    fast_model(model, precision, runtime).expected = len(paths)
    out.mkdir(parents=True, exist_ok=True)
    settings = {"seglab": __version__, "model": model.label, "weights": sha256_state(model.state_dict()),
                "short": model.short, "tile": tile and list(tile), "precision": precision, "alpha": alpha,
                **model.normalisation, **({} if runtime == TORCH else {"runtime": runtime})}  # fmt: skip
    tables, problems = {}, []
    with tqdm(total=len(paths), disable=not progress, delay=2, bar_format=_BAR) as bar:
        for done, path in enumerate(paths, start=1):
            try:
                tables[path] = _segment_one(model, path, out, settings, bar.update)
            except (ValueError, OSError) as error:
                problems.append(str(error))
            bar.update(done - bar.n)
    if not tables:
        return pd.DataFrame(), problems
    if format != "masks":
        finished = tqdm(tables, desc=format, unit="image", disable=not progress or len(paths) == 1)
        maps = (LabelMap(path.name, read_mask(_mask_file(path, out))) for path in finished)
        WRITERS[format](annotation_file(out, format, "predicted"), maps, model.classes)
    names = [os.fsencode(path.name).decode(errors="replace") for path in tables]
    table = pd.concat(tables.values(), keys=names, names=["image"])
    write_csv(table, out / "table.csv", digits=4)
    return table, problems


def _check_options(model: SegModel, tile: tuple[int, int] | None, alpha: float, format: str) -> None:
    """Raise the error of an invalid option once, instead of once for each photograph."""
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    blank = torch.zeros(3, 1, 1, dtype=torch.uint8)
    overlay(blank, blank[0], model.classes, alpha)
    tiles((1, 1), tile)


def _segment_one(model: SegModel, path: Path, out: Path, settings: dict[str, Any], advance: Advance) -> pd.DataFrame:
    """The table of a photograph, after its files are written; `advance` is called with fractions of this work."""
    overlay_file, mask_file = out / f"{path.stem}_overlay.png", _mask_file(path, out)
    origin = settings | {"image": sha256_file(path)}
    if overlay_file.is_file() and (known := _stored_table(mask_file, origin)) is not None:
        return known
    image = to_image(path)
    advance(0.1)
    mask, table = mask_and_table(model, image, tile=settings["tile"], precision=settings["precision"],
                                 runtime=settings.get("runtime", TORCH),
                                 advance=lambda part: advance(0.6 * part))  # fmt: skip
    picture = painted(image, mask, model, settings["alpha"], lambda part: advance(0.1 * part))
    with replacing(overlay_file) as file:
        picture.save(file, format="PNG")
    with replacing(mask_file) as file:  # last: a mask with its overlay is a finished photograph
        write_mask(file, mask, model.classes, json.dumps(origin | {"table": table.reset_index().to_dict("list")}))
    return table


def _mask_file(path: Path, out: Path) -> Path:
    return out / f"{path.stem}_mask.png"


def _stored_table(mask_file: Path, origin: dict[str, Any]) -> pd.DataFrame | None:
    """The table in the file of a mask; None if there is no such file, or one with another origin."""
    if not mask_file.is_file():
        return None
    try:
        with open_image(mask_file) as image:
            stored = json.loads(image.info["seglab"])
        table = pd.DataFrame(stored.pop("table")).set_index("class")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):  # a file of another program
        return None
    return table if stored == origin else None
