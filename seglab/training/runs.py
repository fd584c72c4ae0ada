"""A training on disk: checkpoints, history, the facts that identify the run, and the state from which it continues.

best.safetensors, last.safetensors   weights, with the facts that are needed to use them
history.csv                          one row for each epoch
run.json                             everything needed to repeat the run
state.pt                             the state after the last finished epoch, replaced in one step; without an epoch
                                     before the first one, so that a folder that cannot be written to is noticed then
"""

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pandas as pd
import torch

from seglab._utils.environment import cpu_name, versions
from seglab._utils.errors import differences
from seglab._utils.hashing import TRAINING, code_version
from seglab._utils.paths import replacing
from seglab._utils.text import write_csv
from seglab.data.dataset import SegmentationDataset
from seglab.models.adapters import SegModel
from seglab.models.checkpoints import read_checkpoint, save_model
from seglab.training.recipe import Recipe
from seglab.training.steps import State

Row = dict[str, float]  # of the history


class Run:
    """One training and its folder, written by the `main` process; without one, the best weights stay in memory."""

    def __init__(self, folder: str | Path | None, identity: dict[str, Any], main: bool = True) -> None:
        self.folder = None if folder is None else Path(folder)
        self.identity, self.main = json.loads(json.dumps(identity)), main  # as they are read from the file
        self.weights: dict[str, torch.Tensor] = {}

    def resume(self, state: State, force: bool = False) -> list[Row]:
        """Load the state of the last finished epoch; returns the history up to it, empty for a new run.

        Args:
            force: start a new run although the folder holds weights without a state.

        Raises:
            ValueError: the folder holds another run (the message lists the differences), a damaged state or weights
                without a state, or it cannot be written to.
        """
        if self.folder is None:
            return []
        path = self.folder / "state.pt"
        if path.exists():
            rows, identity, saved = _read_state(path)
            if rows:  # without an epoch there is nothing to continue from
                self._compare(identity)
                with _intact(path):
                    state.load(saved)
                return rows
        elif self.main and not force and (kept := sorted(each.name for each in self.folder.glob("*.safetensors"))):
            raise ValueError(
                f"{self.folder} holds {kept[0]!r} but no state.pt, from which a training continues; choose another"
                " folder, or give --force (force=True), which replaces the weights"
            )
        if self.main:
            with _written(self.folder):
                self._save_state(path, state, [])
        return []

    def _compare(self, identity: dict[str, Any]) -> None:
        """Raise a ValueError if this is the identity of another run."""
        defaults = {field.name: field.default for field in fields(Recipe)}  # older runs lack fields that are newer
        if differing := differences(json.loads(json.dumps(defaults)) | identity, self.identity):
            of_code = "; the code of seglab has changed since, so that its epochs cannot be continued"
            raise ValueError(
                f"{self.folder} holds another run ({differing}{of_code * ('code: ' in differing)}); choose another"
                " folder, or remove it"
            )

    def save(self, state: State, rows: list[Row], best: bool) -> None:
        """Write everything at the end of an epoch; `best`: its weights are the best so far."""
        if self.folder is None and best:
            self.weights = {key: value.detach().clone() for key, value in state.kept.state_dict().items()}
        if self.folder is None or not self.main:
            return
        with _written(self.folder):
            self._save(self.folder, state, rows, best)

    def _save(self, folder: Path, state: State, rows: list[Row], best: bool) -> None:
        # Without the seconds, so that an interrupted run writes the same bytes.
        facts: dict[str, Any] = {"run": self.identity, "epoch": len(rows), "val": _json_row(rows[-1], "seconds")}
        for name in ("best", "last") if best else ("last",):
            save_model(state.kept, folder / f"{name}.safetensors", **facts)
        write_csv(table(rows), folder / "history.csv", digits=None)
        machine = {"cpu": cpu_name(), "threads": torch.get_num_threads(), "versions": versions()}
        run = {"run": self.identity, "epochs_done": len(rows), "minutes": sum(row["seconds"] for row in rows) / 60,
               "best": _json_row(max(rows, key=lambda row: row["miou"])), "machine": machine}  # fmt: skip
        with replacing(folder / "run.json") as path:
            path.write_text(json.dumps(run, indent=2) + "\n")
        # Last: a run that is killed before this line repeats the epoch and writes the same files again.
        self._save_state(folder / "state.pt", state, rows)

    def _save_state(self, path: Path, state: State, rows: list[Row]) -> None:
        with replacing(path) as unfinished:
            try:
                torch.save(state.dump() | {"rows": rows, "identity": json.dumps(self.identity)}, unfinished)
            except RuntimeError as error:  # torch's error for a full disk
                raise OSError(f"{path} cannot be written: {error}") from None

    def best(self) -> dict[str, torch.Tensor]:
        """The best weights, for `model.load_state_dict`."""
        if self.folder is None:
            return self.weights
        return {f"net.{key}": value for key, value in read_checkpoint(self.folder / "best.safetensors")[1].items()}


def identity(model: SegModel, train: SegmentationDataset, val: SegmentationDataset, **more: Any) -> dict[str, Any]:
    """The facts that two runs must share to be the same: model, data, code, and `more`."""
    return {"model": model.spec.name, "norm": model.norm, "train": _described(train), "val": _described(val),
            "code": code_version(TRAINING), **more}  # fmt: skip


def is_run(folder: Path) -> bool:
    """Whether a folder holds a training."""
    return (folder / "state.pt").is_file()


def _read_state(path: Path) -> tuple[list[Row], dict[str, Any], dict[str, Any]]:
    """The history, the identity and the whole content of a state; ValueError if it is damaged."""
    with _intact(path):
        with ZipFile(path) as file:
            if damaged := file.testzip():  # torch.load does not compare these checksums
                raise ValueError(f"the checksum of {damaged} differs")
        saved = torch.load(path, map_location="cpu", weights_only=True)
        return list(map(dict, saved["rows"])), {**json.loads(saved["identity"])}, saved


@contextmanager
def _intact(path: Path) -> Iterator[None]:
    """Raise an error of reading a state as a ValueError with a remedy; torch.load raises errors of any type."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        first = str(error).partition("\n")[0]
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}: {first:.200}); restore a copy of it, or remove the folder to"
            " train again from the beginning. best.safetensors and last.safetensors beside it can still be used"
        ) from None


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    """Raise an error of the file system as a ValueError with a remedy."""
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"the training cannot be saved in {folder}: {error}. Is the disk full? Free some space; the same command"
            " continues after the last epoch that was saved"
        ) from None


def _described(dataset: SegmentationDataset) -> str:
    """Name, split and a hash: of the bytes of files; of the ids and the size of Toytown's scenes."""
    scenes = repr((dataset.ids, tuple(dataset[0].target.shape)))
    digest = dataset.fingerprint() if dataset.root else hashlib.sha256(scenes.encode()).hexdigest()
    return f"{dataset.name} {dataset.split} {len(dataset)} {digest[:16]}"


def table(rows: list[Row]) -> pd.DataFrame:
    """The history as a DataFrame, one row for each epoch, counted from 1."""
    return pd.DataFrame(rows).set_index("epoch")


def _json_row(row: Row, *without: str) -> dict[str, float | None]:
    """None instead of NaN, which the IoU of an absent class is and JSON lacks."""
    return {key: None if math.isnan(value) else value for key, value in row.items() if key not in without}
