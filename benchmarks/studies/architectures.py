"""Six architectures, all else equal: the study behind notebooks 13 and 15.

    python benchmarks/studies/architectures.py     about an hour on one core; goes on where it was interrupted

`architectures.toml` holds the recipes. The six minis of the course are built with as many multiply-accumulates, by
their widths, and without auxiliary heads. All are trained from scratch on the same Toytown scenes at 96×128 with
cross-entropy, one optimizer, one schedule, the same number of steps and the same augmentation. A family differs from
the others in its network and in its learning rate, which a search of equal cost chose: one short training for each of
five rates, and the best mIoU on `val`. The seed decides the first weights and every crop. The last weights are
evaluated on `test`, in four weathers, as they are and with the BatchNorm statistics of other scenes of that weather.

Mask2Former is the exception: it is trained with its own loss, which matches each mask to a query, and which belongs to
the idea of classifying masks. Cross-entropy on its scores s, as p = s / Σ s, was tried first: at the three lowest
rates it predicted a single class after 100 steps (mIoU 0.030 on `val`). So its rows compare an architecture *and* a
loss. Its steps take longest, and it comes last.

- `data/results/architectures.csv`: the confusion matrix of each model, seed and weather, adapted or not; rows are
  targets, columns predictions;
- `data/results/architectures_runs.csv`: a row for each training, those of the search included;
- `data/results/architectures.json`: command, machine, minutes.
"""

import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
import torch
from small_data import count
from torch import nn
from tqdm.auto import tqdm

from seglab import CLASS_SETS, MODELS, load_dataset
from seglab._utils.environment import cpu_name, versions
from seglab.course.studies import results_dir
from seglab.data.dataset import SegmentationDataset
from seglab.models import architectures as build
from seglab.models.adapters import Mask2FormerModel, SegModel, wrap
from seglab.models.cost import cost
from seglab.models.norms import adapted
from seglab.models.unet import UNet
from seglab.training.loop import fit
from seglab.training.recipe import Recipe

FILE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
STUDY, RECIPE = FILE["study"], Recipe(**FILE["recipe"])
STREET = CLASS_SETS["street"]
WEATHERS = ("clear", "night", "fog", "rain")
OWN_LOSS = ("mask2former",)  # instead of cross-entropy
SEARCH_SEED = 100  # not one of those that are evaluated
Run = tuple[str, float, int]  # model, learning rate, seed
RUN, COUNTED = ["model", "lr", "seed"], ["model", "seed", "weather", "adapted", "target"]


def _unet(num_classes: int, aux: bool, width: int) -> nn.Module:
    return UNet(num_classes, width)


def _mask2former(num_classes: int, aux: bool, embed_dim: int, hidden_dim: int) -> nn.Module:
    """The mini with other widths, and in proportion those that follow from them."""
    swin = build.mask2former_mini.keywords["swin"] | {"embed_dim": embed_dim}
    dims = dict.fromkeys(("hidden_dim", "feature_size", "mask_feature_size"), hidden_dim)
    feedforward = dict.fromkeys(("encoder_feedforward_dim", "dim_feedforward"), 2 * hidden_dim)
    heads = {"num_attention_heads": hidden_dim // 16}
    return build.mask2former_mini(num_classes, aux, swin=swin, **dims, **feedforward, **heads)


BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "fcn": build.fcn_mini,
    "unet": _unet,
    "deeplabv3": build.deeplabv3_mini,
    "lraspp": build.lraspp_mini,
    "segformer": build.segformer_mini,
    "mask2former": _mask2former,
}


def model_of(name: str) -> SegModel:
    """An untrained model of the study."""
    net = BUILDERS[name](len(STREET), False, **FILE["models"][name])
    own = name in OWN_LOSS
    return Mask2FormerModel(net, STREET, MODELS[f"{name}_mini"]) if own else wrap(net, STREET, name)


@lru_cache
def scenes(weather: str, split: str, first: int, last: int) -> SegmentationDataset:
    """Scenes of a split, drawn once."""
    dataset = load_dataset(f"toytown:{weather}".removesuffix(":clear"), split, size=RECIPE.size)
    dataset = dataset.subset(range(first, last))
    return replace(dataset, records=tuple(replace(r, read=partial(tuple, r.read())) for r in dataset.records))


def train(run: Run, repeats: int) -> tuple[SegModel, pd.DataFrame]:
    """One training: the model with its last weights, and its row of the table."""
    name, rate, seed = run
    torch.manual_seed(seed)
    model, began = model_of(name), perf_counter()
    recipe = replace(RECIPE, lr=rate, seed=seed, repeats=repeats)
    data = scenes("clear", "train", 0, STUDY["train"]), scenes("clear", "val", 0, STUDY["val"])
    history = fit(model, *data, recipe, progress=False).iloc[-1]  # of one epoch, so the best weights are the last ones
    costs = cost(model, recipe.size)
    row = dict(zip(RUN, run, strict=True)) | {
        "steps": STUDY["train"] * repeats // recipe.batch, "loss": history["loss"], "val_miou": history["miou"],
        "gmacs": costs.macs / 1e9, "mparams": costs.params / 1e6, "minutes": (perf_counter() - began) / 60,
    }  # fmt: skip
    return model, pd.DataFrame([row])


def tested(model: SegModel, name: str, seed: int) -> pd.DataFrame:
    """Counts of a model in each weather, as it is and adapted."""
    tables = []
    for weather in WEATHERS:
        others = scenes(weather, "val", -STUDY["adapt"], 0)
        images = torch.stack([sample.image for sample in others])
        for changed, tried in ((False, model), (True, adapted(model, images))):
            counts = count(tried, scenes(weather, "test", 0, STUDY["test"]))
            keys = dict(zip(COUNTED, (name, seed, weather, changed, STREET.names), strict=True))
            tables.append(pd.DataFrame(counts.numpy(), columns=STREET.names).assign(**keys))
    return pd.concat(tables)[[*COUNTED, *STREET.names]]


def stored(path: Path) -> pd.DataFrame:
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=RUN)


def add(path: Path, rows: pd.DataFrame, keys: list[str]) -> None:
    """Put the rows of a training into a stored table, in place of those with the same keys."""
    if path.exists():
        rows = pd.concat([pd.read_csv(path), rows]).drop_duplicates(keys, keep="last")
    unfinished = path.with_suffix(".part")
    rows.to_csv(unfinished, index=False, float_format="%.5g", lineterminator="\n")
    unfinished.replace(path)


def best_rates(runs: pd.DataFrame) -> dict[str, float]:
    """Model → the learning rate with the highest mIoU on `val` in the search."""
    search = runs[runs["seed"] == SEARCH_SEED].sort_values("val_miou")
    return {str(name): float(rate) for name, rate in search.groupby("model")["lr"].last().items()}


def of_this_search(runs: pd.DataFrame) -> pd.DataFrame:
    """Without trainings at a rate that an earlier search, over other rates, had chosen."""
    return runs[(runs["seed"] == SEARCH_SEED) | (runs["lr"] == runs["model"].map(best_rates(runs)))]


def todo(runs: pd.DataFrame) -> list[Run]:
    """The next trainings: a search, and when it is finished, seed by seed with the best rates, so that an unfinished
    study has as many of each model. The models with a loss of their own follow the others.
    """
    there = set(runs[RUN].itertuples(index=False, name=None))
    for own in (False, True):
        names = [name for name in FILE["models"] if (name in OWN_LOSS) == own]
        search = [(name, rate, SEARCH_SEED) for name in names for rate in STUDY["rates"]]
        if not (missing := [run for run in search if run not in there]):
            rates = best_rates(runs)
            every = [(name, rates[name], seed) for seed in range(STUDY["seeds"]) for name in names]
            missing = [run for run in every if run not in there]
        if missing:
            return missing
    return []


def note(path: Path, runs: pd.DataFrame) -> None:
    """What the whole study took, and where."""
    facts: dict[str, Any] = {"command": "python benchmarks/studies/architectures.py"}
    facts |= {"minutes": round(float(runs["minutes"].sum()), 1)}
    facts |= {"machine": {"cpu": cpu_name(), "threads": torch.get_num_threads(), "versions": versions()}}
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    torch.set_num_threads(1)  # the last bits depend on it
    runs, counts = results_dir() / "architectures_runs.csv", results_dir() / "architectures.csv"
    while missing := todo(stored(runs)):
        for run in tqdm(missing, desc="architectures", unit="training"):
            searching = run[2] == SEARCH_SEED
            model, row = train(run, STUDY["search"] if searching else RECIPE.repeats)
            if not searching:
                add(counts, tested(model, run[0], run[2]), COUNTED)
            add(runs, row, RUN)  # last: a training without this row is done again
            note(runs.with_name("architectures.json"), stored(runs))
    of_this_search(stored(runs)).to_csv(runs, index=False, float_format="%.5g", lineterminator="\n")


if __name__ == "__main__":
    main()
