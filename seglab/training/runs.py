"""A training on disk: its checkpoints, its history, what it was, and the state from which it goes on.

best.safetensors, last.safetensors   weights, with what has to be known to use them
history.csv                          one row an epoch
run.json                             everything needed to repeat the run
state.pt                             how far it has come; replaced in one step at the end of an epoch
"""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from seglab._utils.errors import differences
from seglab._utils.paths import replacing
from seglab.data.dataset import SegmentationDataset
from seglab.models.adapters import SegModel
from seglab.models.checkpoints import read_checkpoint, save_model

Row = dict[str, float]  # of the history


class State:
    """What changes during a training, besides the history."""

    def __init__(self, model: SegModel, optimizer: torch.optim.Optimizer, averaged: AveragedModel | None) -> None:
        self.model, self.optimizer, self.averaged = model, optimizer, averaged

    @property
    def kept(self) -> SegModel:
        """The weights that are validated and kept: the averaged ones, where there are such."""
        return self.model if self.averaged is None else cast(SegModel, self.averaged.module)

    def dump(self) -> dict[str, Any]:
        averaged = self.averaged.state_dict() if self.averaged else None
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "averaged": averaged}

    def load(self, saved: Mapping[str, Any]) -> None:
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        if self.averaged:
            self.averaged.load_state_dict(saved["averaged"])


class Run:
    """One training and its folder; without a folder only the best weights are kept, in memory.

    Args:
        identity: what has to be the same for two runs to be one, see `identity`.
        main: whether this process writes; of several only one does, and all see the folder.
    """

    def __init__(self, folder: str | Path | None, identity: Mapping[str, Any], main: bool = True) -> None:
        self.folder = None if folder is None else Path(folder)
        self.identity, self.main = json.loads(json.dumps(identity)), main  # as it will be read again
        self.weights: dict[str, Tensor] = {}

    def resume(self, state: State) -> list[Row]:
        """Go on where this run was left; returns its history so far.

        Raises:
            ValueError: the folder holds another run; says what differs.
        """
        if self.folder is None or not (self.folder / "state.pt").exists():
            return []
        saved = torch.load(self.folder / "state.pt", map_location="cpu", weights_only=True)
        if said := differences(json.loads(saved["identity"]), self.identity):
            raise ValueError(f"{self.folder} holds another run ({said}); choose another folder, or remove it")
        state.load(saved)
        rows: list[Row] = saved["rows"]
        return rows

    def save(self, state: State, rows: list[Row], better: bool) -> None:
        """At the end of an epoch; `better` than all before, it is kept as the best one, too."""
        if self.folder is None:
            self.weights = _copy(state.kept) if better else self.weights
            return
        if not self.main:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        # Without the seconds: a run that was interrupted writes the same bytes.
        facts: dict[str, Any] = {"run": self.identity, "epoch": len(rows), "val": _json_row(rows[-1], "seconds")}
        for name in ("best", "last") if better else ("last",):
            save_model(state.kept, self.folder / f"{name}.safetensors", **facts)
        with replacing(self.folder / "history.csv") as path:
            table(rows).to_csv(path, lineterminator="\n")
        best = max(rows, key=lambda row: row["miou"])
        run = {"run": self.identity, "epochs_done": len(rows), "minutes": sum(row["seconds"] for row in rows) / 60,
               "best": _json_row(best), "machine": _machine()}  # fmt: skip
        with replacing(self.folder / "run.json") as path:
            path.write_text(json.dumps(run, indent=2) + "\n")
        # Last: killed before this line, the epoch is repeated and gives the same files again.
        saved = state.dump() | {"rows": rows, "identity": json.dumps(self.identity)}
        with replacing(self.folder / "state.pt") as path:
            torch.save(saved, path)

    def best(self) -> dict[str, Tensor]:
        """The best weights, for `model.load_state_dict`."""
        if self.folder is None:
            return self.weights
        return {f"net.{key}": value for key, value in read_checkpoint(self.folder / "best.safetensors")[1].items()}


def identity(model: SegModel, train: SegmentationDataset, val: SegmentationDataset, **more: Any) -> dict[str, Any]:
    """What has to be the same for two runs to be one: model, data, and whatever else decides it."""
    return {"model": model.spec.name, "norm": model.norm, "train": _named(train), "val": _named(val), **more}


def _named(dataset: SegmentationDataset) -> str:
    """Files are known by their bytes, scenes that are drawn by their ids and size."""
    drawn = repr((dataset.ids, tuple(dataset[0].target.shape)))
    mark = dataset.fingerprint() if dataset.root else hashlib.sha256(drawn.encode()).hexdigest()
    return f"{dataset.name} {dataset.split} {len(dataset)} {mark[:16]}"


def table(rows: list[Row]) -> pd.DataFrame:
    """The history as a DataFrame, one row an epoch, counted from 1."""
    return pd.DataFrame(rows).set_index("epoch")


def _json_row(row: Row, *without: str) -> dict[str, float | None]:
    """JSON has no NaN, which the IoU of an absent class is."""
    return {key: None if math.isnan(value) else value for key, value in row.items() if key not in without}


def _machine() -> dict[str, Any]:
    from seglab._utils.environment import cpu_name, versions

    return {"cpu": cpu_name(), "threads": torch.get_num_threads(), "versions": versions()}


def _copy(model: SegModel) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in model.state_dict().items()}
