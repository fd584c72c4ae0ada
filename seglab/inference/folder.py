"""Photographs in, files out: for each a mask, an overlay and rows of a table, in a folder.

A mask's file keeps how it was made and what was found. So the same call, interrupted and started again, goes on where
it was, and a mask that somebody sends still says which weights it is from.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from PIL import Image
from tqdm.auto import tqdm

from seglab import __version__
from seglab._utils.hashing import sha256_file, sha256_state
from seglab._utils.paths import replacing
from seglab.data.labels import write_mask
from seglab.inference.prediction import predict, predictions
from seglab.inference.tiles import tiles
from seglab.masks.painting import overlay
from seglab.models.adapters import SegModel


def segment(
    model: SegModel,
    paths: Sequence[Path],
    out: Path,
    *,
    tile: tuple[int, int] | None = None,
    precision: str = "float32",
    alpha: float = 0.6,
    progress: bool = True,
) -> tuple[pd.DataFrame, list[str]]:
    """Write NAME_mask.png, NAME_overlay.png and table.csv. What is there already from the same call is kept.

    Args:
        paths: of the pictures, see `files.image_paths`.
        out: the folder; not one of those in which the pictures lie.
        alpha: share of the class colour in overlays, 0 to 1.
        tile, precision: see `predict`.

    Returns:
        The table, see `Prediction.table`, of every picture; and what is wrong with those that could not be used.

    Raises:
        ValueError: `out` holds some of the pictures; an option that no picture could be segmented with.
        OSError: nothing can be written there.
    """
    if any(path.resolve().parent == out.resolve() for path in paths):
        raise ValueError(f"{out} holds the pictures, and masks would be mixed with them; choose another folder")
    _check(model, tile, precision, alpha)
    out.mkdir(parents=True, exist_ok=True)
    how = {
        "seglab": __version__, "model": model.label, "weights": sha256_state(model.state_dict()), "short": model.short,
        "tile": tile and list(tile), "precision": precision, "alpha": alpha,
    }  # fmt: skip
    tables, problems = {}, []
    for path in tqdm(paths, unit="image", disable=not progress or len(paths) == 1):
        try:
            tables[os.fsencode(path.name).decode(errors="replace")] = _segment(model, path, out, how)
        except (ValueError, OSError) as error:
            problems.append(str(error))
    table = pd.concat(tables, names=["image"]) if tables else pd.DataFrame()
    if tables:
        with replacing(out / "table.csv") as file:
            table.to_csv(file, float_format="%.4f", lineterminator="\n")
    return table, problems


def _check(model: SegModel, tile: tuple[int, int] | None, precision: str, alpha: float) -> None:
    """What is wrong with an option is said once, not of every picture."""
    blank = torch.zeros(3, 1, 1, dtype=torch.uint8)
    overlay(blank, blank[0], model.classes, alpha)
    if tile:
        tiles((1, 1), tile)
    next(predictions(model, [], precision=precision), None)


def _segment(model: SegModel, path: Path, out: Path, how: dict[str, Any]) -> pd.DataFrame:
    painted, labelled = out / f"{path.stem}_overlay.png", out / f"{path.stem}_mask.png"
    about = how | {"image": sha256_file(path)}
    if painted.is_file() and (known := _found(labelled, about)) is not None:
        return known
    p = predict(model, path, tile=how["tile"], precision=how["precision"])
    picture = overlay(p.image, p.mask, p.classes, how["alpha"])
    with replacing(painted) as file:
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(file, format="PNG")
    table = p.table()
    with replacing(labelled) as file:  # last: with it the picture is finished
        write_mask(file, p.mask, p.classes, json.dumps(about | {"table": table.reset_index().to_dict("list")}))
    return table


def _found(labelled: Path, about: dict[str, Any]) -> pd.DataFrame | None:
    """The table that a mask's file keeps; None if there is none, or it was made in another way."""
    try:
        with Image.open(labelled) as image:
            told = json.loads(image.info["seglab"])
            table = told.pop("table")
    except (OSError, ValueError, KeyError):
        return None
    return pd.DataFrame(table).set_index("class") if told == about else None
