"""The zoo: how the minis' weights came about, and how they are made again.

    python benchmarks/studies/zoo.py train unet_mini:toytown      one recipe of data/zoo/recipes.toml, with each of its seeds
    python benchmarks/studies/zoo.py publish unet_mini:toytown    round the first seed's weights, measure, write the card

A recipe is the rest of a `seglab train` command. What is published are the weights of the first seed as float16
(running averages of BatchNorm as they are), and what stands on a card is what `evaluate` measures with these very
weights, on data that did not choose them where there is such.
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
from typing import Annotated, Any

import typer

from seglab import MODELS, Results, evaluate, load_dataset, load_model
from seglab._utils.errors import unknown
from seglab._utils.hashing import sha256_file
from seglab.evaluation.store import forget
from seglab.models.checkpoints import read_checkpoint, save_model
from seglab.models.weights.zoo import EVALUATED_ON, stored_counts, zoo_dir

SEEDS = {"toytown": (0, 1, 2), "camvid": (0,)}


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
    """Where a training lies."""
    return runs / f"{name.replace(':', '-')}-{seed}"


def publish(name: str, runs: Path) -> dict[str, Any]:
    """Put the weights of a recipe's first seed into the zoo, count what its seeds do, and write the card.

    Seeds that were trained elsewhere keep what is counted of them, and those that are not trained yet can follow. The
    weights that travel are always counted anew.

    Raises:
        ValueError: the training of the first seed, whose weights travel, is neither finished here nor in the zoo.
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
    elif path.is_file():
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        rounded[first] = path
    else:
        raise ValueError(
            f"no training of {name} with seed {first} in {runs}; python benchmarks/studies/zoo.py train {name}"
        )
    results = _count(name, rounded)
    alone = results.of_seed(first)
    card["measured"] = {
        "data": results.data, "miou": round(float(alone.seeds()["miou"].iloc[0]), 4),
        "iou": alone.iou_table()[name].round(4).to_dict(), "convention": alone.convention(),
        "miou of each seed": results.seeds()["miou"].round(4).tolist(),
    }  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    (zoo_dir() / "README.md").write_text(readme(), encoding="utf-8")
    return card


def readme() -> str:
    """The page of the zoo, from its cards."""
    rows = []
    for path in sorted(zoo_dir().glob("*-*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        measured, run = found["measured"], found["run"]
        seeds = " · ".join(f"{miou:.3f}" for miou in measured["miou of each seed"])
        epochs = f"{run['epochs']} epochs in {found['minutes']:.0f} minutes"
        name, size = f"{found['model']}:{found['weights']}", f"{found['bytes'] / 1e6:.1f} MB"
        rows.append(f"| {name} | {measured['data']} | {seeds} | {epochs} | {size} |\n")
    return _README + "".join(rows)


_README = """# Trained weights

The minis' weights travel with the project, so that everything runs without a network. Beside each file lies its card:
the command and the seed that made it, what it was trained on and how long, and what `seglab evaluate` measured with
these very weights, which are rounded to half precision. `recipes.toml` has all commands; `python benchmarks/studies/zoo.py train`
runs them, `python benchmarks/studies/zoo.py publish` writes weights, cards and this page. The counts behind the numbers, of every
training seed, are in the `.sqlite` files, which `Results.open` reads.

Trainings ran on two busy cores beside other work; minutes say what to expect, not what a quiet machine needs. On
CamVid, `val` also chose the epoch, and it is one clip of seven seconds: good for choosing, not for claims.

| weights | judged on | mIoU, a training seed each | training | size |
|---|---|---|---|---|
"""


def _round(run: Path) -> Path:
    """The best weights of a training as they travel: float16, running averages as they are."""
    path = run / "rounded.safetensors"
    facts, _ = read_checkpoint(run / "best.safetensors")
    kept = {key: facts[key] for key in ("run", "epoch", "val")}
    save_model(load_model(run / "best.safetensors", device="cpu"), path, half=True, **kept)
    return path


def _count(name: str, weights: Mapping[int, Path]) -> Results:
    data, split = EVALUATED_ON[name.partition(":")[2]]
    path = stored_counts(data)
    for seed in weights:
        forget(path, name, seed=seed)
    evaluate([(name, checkpoint) for checkpoint in weights.values()], load_dataset(data, split), path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM")  # it travels: without the room of what was forgotten
    return Results.open(path).select(name)


app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
Names = Annotated[list[str] | None, typer.Argument(help="MODEL:WEIGHTS; by default all recipes.")]
Runs = Annotated[Path, typer.Option(help="Folder of the trainings.")]


@app.command("train")
def _train(names: Names = None, runs: Runs = Path("runs/zoo"), seeds: int = 3) -> None:
    """Train recipes one after another; interrupted, they go on where they were."""
    for name in names or recipes():
        for seed in SEEDS[name.partition(":")[2]][:seeds]:
            arguments = command(name, seed, folder(name, seed, runs))
            typer.echo(f"seglab {' '.join(arguments)}")
            subprocess.run([sys.executable, "-m", "seglab", *arguments], check=True)


@app.command("publish")
def _publish(names: Names = None, runs: Runs = Path("runs/zoo")) -> None:
    """Round, measure and describe finished trainings."""
    for name in names or recipes():
        card = publish(name, runs)
        measured = card["measured"]
        typer.echo(f"{name:<28} mIoU {measured['miou']:.3f} on {measured['data']}, {card['bytes']} bytes")


if __name__ == "__main__":
    app(prog_name="python benchmarks/studies/zoo.py")
