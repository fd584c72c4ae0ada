"""The zoo: how the minis' weights came about, and how they are made again.

    python -m seglab.zoo train unet_mini:toytown      one recipe of data/zoo/recipes.toml, with each of its seeds
    python -m seglab.zoo publish unet_mini:toytown    round the first seed's weights, measure, write the card

A recipe is the rest of a `seglab train` command. What is published are the weights of the first seed as float16
(running averages of BatchNorm as they are), and what stands on a card is what `evaluate` measures with these very
weights, on data that did not choose them where there is such.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from seglab.checkpoints import read_checkpoint, save_model
from seglab.data import load_dataset
from seglab.errors import unknown
from seglab.evaluation import evaluate
from seglab.models import load_model
from seglab.results import Results
from seglab.system import sha256_file
from seglab.weights import zoo_dir

# Where each is measured. CamVid's val also chose the weights: its test split is not everywhere.
JUDGED_ON = {"toytown": ("toytown", "test"), "camvid": ("camvid", "val")}
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
    """Put the weights of a finished training into the zoo, measure them, and write their card."""
    model, _, data = name.partition(":")
    trained = folder(name, SEEDS[data][0], runs)
    facts, _ = read_checkpoint(trained / "best.safetensors")
    path = zoo_dir() / f"{model}-{data}.safetensors"
    save_model(load_model(trained / "best.safetensors", device="cpu"), path, half=True,
               **{key: facts[key] for key in ("run", "epoch", "val")})  # fmt: skip
    run = json.loads((trained / "run.json").read_text(encoding="utf-8"))
    results = measure(name, runs)
    accuracy = results.conventions()[name].iloc[0]
    card = {
        "model": model, "weights": data, "command": f"seglab {' '.join(command(name, SEEDS[data][0], Path('RUN')))}",
        "run": facts["run"], "minutes": round(run["minutes"], 1), "machine": run["machine"], "epoch": facts["epoch"],
        "sha256": sha256_file(path), "bytes": path.stat().st_size,
        "measured": {"data": results.data, "convention": results.convention(),
                     "pixel_accuracy": round(float(accuracy), 4),
                     "iou": results.iou_table()[name].round(4).to_dict()},
    }  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return card


def measure(name: str, runs: Path) -> Results:
    """Judge a model of the zoo with its rounded weights."""
    data, split = JUDGED_ON[name.partition(":")[2]]
    return evaluate({name: load_model(name, device="cpu")}, load_dataset(data, split), runs / "zoo.sqlite")


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
        typer.echo(f"{name:<28} mIoU {measured['iou']['mean']:.3f} on {measured['data']}, {card['bytes']} bytes")


if __name__ == "__main__":
    app(prog_name="python -m seglab.zoo")
