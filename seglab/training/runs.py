"""A training on disk: checkpoints, history, the facts that identify the run, and the state from which it continues.

best.safetensors, last.safetensors   weights, with the facts that are needed to use them
history.csv                          one row for each epoch
run.json                             everything needed to repeat the run
state.pt                             the state after the last finished epoch, replaced in one step
"""

import hashlib
import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from seglab._utils.environment import cpu_name, versions
from seglab._utils.errors import differences
from seglab._utils.paths import replacing
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

    def resume(self, state: State) -> list[Row]:
        """Load the state of the last finished epoch; returns the history up to it, empty for a new run.

        Raises:
            ValueError: the folder holds another run; the message lists the differences.
        """
        if self.folder is None or not (self.folder / "state.pt").exists():
            return []
        saved = torch.load(self.folder / "state.pt", map_location="cpu", weights_only=True)
        defaults = {field.name: field.default for field in fields(Recipe)}  # older runs lack fields that are newer
        if differing := differences(json.loads(json.dumps(defaults)) | json.loads(saved["identity"]), self.identity):
            raise ValueError(f"{self.folder} holds another run ({differing}); choose another folder, or remove it")
        state.load(saved)
        return list(saved["rows"])

    def save(self, state: State, rows: list[Row], best: bool) -> None:
        """Write everything at the end of an epoch; `best`: its weights are the best so far."""
        if self.folder is None and best:
            self.weights = {key: value.detach().clone() for key, value in state.kept.state_dict().items()}
        if self.folder is None or not self.main:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        # Without the seconds, so that an interrupted run writes the same bytes.
        facts: dict[str, Any] = {"run": self.identity, "epoch": len(rows), "val": _json_row(rows[-1], "seconds")}
        for name in ("best", "last") if best else ("last",):
            save_model(state.kept, self.folder / f"{name}.safetensors", **facts)
        with replacing(self.folder / "history.csv") as path:
            table(rows).to_csv(path, lineterminator="\n")
        machine = {"cpu": cpu_name(), "threads": torch.get_num_threads(), "versions": versions()}
        run = {"run": self.identity, "epochs_done": len(rows), "minutes": sum(row["seconds"] for row in rows) / 60,
               "best": _json_row(max(rows, key=lambda row: row["miou"])), "machine": machine}  # fmt: skip
        with replacing(self.folder / "run.json") as path:
            path.write_text(json.dumps(run, indent=2) + "\n")
        # Last: a run that is killed before this line repeats the epoch and writes the same files again.
        with replacing(self.folder / "state.pt") as path:
            torch.save(state.dump() | {"rows": rows, "identity": json.dumps(self.identity)}, path)

    def best(self) -> dict[str, torch.Tensor]:
        """The best weights, for `model.load_state_dict`."""
        if self.folder is None:
            return self.weights
        return {f"net.{key}": value for key, value in read_checkpoint(self.folder / "best.safetensors")[1].items()}


def identity(model: SegModel, train: SegmentationDataset, val: SegmentationDataset, **more: Any) -> dict[str, Any]:
    """The facts that two runs must share to be the same: model, data, and `more`."""
    return {"model": model.spec.name, "norm": model.norm, "train": _described(train), "val": _described(val), **more}


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
