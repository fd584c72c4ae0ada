"""The `seglab` command. Each subcommand imports what it needs when it runs, so that `--help` is instant."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

try:
    import typer
except ModuleNotFoundError:  # a checkout that is run with a Python without its packages
    sys.exit(f"seglab is not set up in {sys.executable}: run `make setup`, then .venv/bin/seglab")

from seglab._utils.errors import plain_errors

if TYPE_CHECKING:
    from seglab.evaluation.results import Results

app = typer.Typer(
    name="seglab",
    help="A workbook for semantic segmentation: learn it, explore it, compare its models. Start with: seglab lab",
    epilog="Tab completes commands and options after: seglab --install-completion (once, then open a new terminal).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _prepare() -> None:
    # A Windows console that lacks ✓ or an umlaut shows "?" instead of failing.
    for stream in (sys.stdout, sys.stderr):
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")


@app.command()
def doctor() -> None:
    """Check that everything seglab needs is installed and works; show a remedy for each problem."""
    from seglab.course.doctor import diagnose

    marks = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "red")}
    findings = diagnose()
    for finding in findings:
        mark, color = marks[finding.level]
        typer.echo(f"{typer.style(mark, fg=color)} {finding.sentence}")
        if finding.remedy:
            typer.echo(f"  → {finding.remedy}")
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)


@app.command()
def datasets(
    check: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="NAME SPLIT", help="Read every image and mask of a split, and list the unusable ones."),
    ] = None,
) -> None:
    """List the data sets, and which of them are on this machine."""
    from seglab.data.catalogue import table
    from seglab.data.loading import data_root, load_dataset, local_datasets

    if check is None:
        rows, local = table()[["title", "classes", "images", "download"]], set(local_datasets())
        rows["here"] = ["drawn" if name == "toytown" else "yes" if name in local else "" for name in rows.index]
        typer.echo(rows.to_string())
        typer.echo(f"\nData lies in {data_root()}; the environment variable SEGLAB_DATA names another folder.")
        return
    with plain_errors():
        dataset = load_dataset(*check, download=False)
        dataset.check()
    typer.echo(f"All {len(dataset)} images of {' '.join(check)} and their masks can be used.")


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="Show the details of one model.")] = None,
    card: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the details as JSON.")] = None,
) -> None:
    """List the models, and which of their weights are on this machine."""
    import json
    import textwrap

    from seglab.models.weights import cards

    with plain_errors():
        if card:
            if name is None:
                raise ValueError("a card describes one model; name it: seglab models NAME --card FILE")
            card.write_text(json.dumps(cards.export(name), indent=2) + "\n", encoding="utf-8")
            typer.echo(f"the card of {name} is in {card}")
        elif name is None:
            typer.echo(cards.table().round({"params": 2, "gmacs": 2, "miou": 3}).to_string(na_rep="–"))
            typer.echo("\nparams in millions, gmacs in 10⁹ multiply-accumulates, miou as published or on the card.")
            typer.echo("seglab models NAME shows the details of one; seglab fetch downloads weights in advance.")
        else:
            for subject, lines in cards.page(name).items():
                typer.echo(subject)
                for line in lines:
                    typer.echo(textwrap.fill(line, 100, initial_indent="  ", subsequent_indent="    "))


@app.command()
def fetch(
    names: Annotated[list[str] | None, typer.Argument(metavar="[MODEL[:WEIGHTS]]...", help="What to download.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Download all published weights.")] = False,
    to: Annotated[Path | None, typer.Option(metavar="DIR", help="Copy the weights into this folder.")] = None,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Take the weights from such a folder, not the network.")
    ] = None,
) -> None:
    """Download published weights in advance, or for machines without a network.

    --to copies them into a folder; --from installs them from that folder on another machine and verifies them.
    """
    from seglab._utils.download import human
    from seglab.models.weights import bundle, published

    with plain_errors():
        if source and to:
            raise ValueError("--from takes weights out of a folder and --to puts them into one; give one of them")
        if source:
            for label in bundle.unpack(source, names or ()):
                typer.echo(f"{label} is here")
            return
        rows = {label: published.resolve(label) for label in published.labels()}
        if not names and not everything:
            for label, (spec, weights) in rows.items():
                cached = "here" if published.is_cached(spec, weights) else ""
                typer.echo(f"{label:<38} {human(spec.weights[weights].num_bytes):>8}  {cached}")
            total = sum(spec.weights[weights].num_bytes for spec, weights in rows.values())
            raise ValueError(f"name some of these, or give --all ({human(total)})")
        for label in rows if everything else names or ():
            spec, weights = published.resolve(label)
            if to:
                bundle.pack(label, to)
            else:
                published.state(spec, weights)
            typer.echo(f"{spec.name}:{weights} is {f'in {to}' if to else 'here'}")
            typer.echo(f"  licence of these weights: {spec.weights[weights].licence}")


@app.command()
def lab(
    port: Annotated[int, typer.Option(help="Port of the server; the next free one if it is in use.")] = 8888,
    ip: Annotated[str, typer.Option(help="Address of the server; 0.0.0.0 accepts other machines.")] = "127.0.0.1",
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
) -> None:
    """Open the notebooks in JupyterLab, starting with the first. Stop it with Ctrl-C, twice.

    Where seglab was installed without a checkout, the notebooks are copied to ./seglab-notebooks first.
    """
    from seglab.course.lab import open_lab, workspace

    with plain_errors():
        folder = workspace(copy_to=Path("seglab-notebooks"))
    open_lab(folder, ip, port, browser)


@app.command()
def train(
    model: Annotated[str, typer.Argument(help="unet_mini starts untrained, unet_mini:toytown from these weights.")],
    data: Annotated[str, typer.Option(help="Data set to train on, and to validate on unless --val names another.")],
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 20,
    out: Annotated[
        Path | None, typer.Option(help="Folder for weights and history; by default runs/MODEL-DATA-SEED.")
    ] = None,
    start: Annotated[
        Path | None, typer.Option(help="Checkpoint to start from, as another run's best.safetensors.")
    ] = None,
    val: Annotated[str | None, typer.Option(help="Data set to validate on.")] = None,
    split: Annotated[tuple[str, str], typer.Option(help="Splits to train and to validate on.")] = ("train", "val"),
    size: Annotated[tuple[int, int], typer.Option(help="Height and width of crops and of validated images.")] = (
        192,
        256,
    ),
    scale: Annotated[tuple[float, float], typer.Option(help="Range of the zoom; 1 covers the size.")] = (0.75, 1.5),
    batch: Annotated[int, typer.Option(help="Images a step, in each process.")] = 8,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate; by default what suits the model.")] = None,
    optimizer: Annotated[str, typer.Option(help="adamw or sgd.")] = "adamw",
    loss: Annotated[str, typer.Option(help="ce, focal, dice, lovasz, or a sum as ce+dice.")] = "ce",
    weights: Annotated[str, typer.Option(help="Class weights: none, median or inverse frequency.")] = "none",
    favour: Annotated[list[str] | None, typer.Option(help="A class to lay crops around; may be given again.")] = None,
    ema: Annotated[float, typer.Option(help="Decay of the averaged weights; 0 for none.")] = 0.0,
    freeze: Annotated[int, typer.Option(help="Epochs in which the backbone stays as it is.")] = 0,
    norm: Annotated[str | None, typer.Option(help="Turn BatchNorm into group or sync norm.")] = None,
    precision: Annotated[
        str, typer.Option(help="float32, or bfloat16 where the processor is quick at it.")
    ] = "float32",
    seed: Annotated[int, typer.Option(help="Of every random number.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that load images.")] = 0,
) -> None:
    """Train a model. Interrupted, the same command goes on where it was.

    On several GPUs or machines: torchrun --nproc-per-node 4 -m seglab train …
    """
    import os

    import torch

    from seglab._utils.hashing import sha256_state
    from seglab.data.loading import load_dataset
    from seglab.models.loading import DEFAULT, load_model
    from seglab.training.loop import fit
    from seglab.training.recipe import Recipe

    with plain_errors():
        recipe = Recipe(epochs=epochs, batch=batch, size=size, scale=scale, favour=tuple(favour or ()),
                        optimizer=optimizer, lr=lr, ema=ema, freeze=freeze, loss=loss, weights=weights,
                        precision=precision, seed=seed)  # fmt: skip
        train_data, val_data = load_dataset(data, split[0]), load_dataset(val or data, split[1])
        torch.manual_seed(seed)  # of the first weights
        first = start or (DEFAULT if ":" in model else None)
        net = load_model(model, first, train_data.classes, norm=norm)
        folder = out or Path("runs") / f"{model}-{data}-{seed}".replace(":", "-")
        name = start.name if start else model
        origin = f"{name} {sha256_state(net.net.state_dict())[:16]}" if first else "untrained"
        history = fit(net, train_data, val_data, recipe, folder, workers=workers, start=origin)
    if os.environ.get("RANK", "0") != "0":  # one of several processes speaks
        return
    best = int(history["miou"].to_numpy().argmax())
    told = f"mIoU {history['miou'].iloc[best]:.3f} on {val_data.name} {val_data.split}, in {folder}"
    typer.echo(f"best after epoch {best + 1}: {told}")
    for name in net.classes.names:
        typer.echo(f"  {name:<14} {history[name].iloc[best]:.3f}")


@app.command()
def predict(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Image files, or folders of them.")],
    model: Annotated[str, typer.Option(help="A model as unet_mini:camvid, or a checkpoint.")] = "unet_mini:camvid",
    out: Annotated[Path, typer.Option(help="Folder for masks, overlays and the table.")] = Path("predictions"),
    tile: Annotated[
        tuple[int, int] | None, typer.Option(help="Predict overlapping tiles of this height and width.")
    ] = None,
    precision: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    alpha: Annotated[float, typer.Option(help="Opacity of the class colours in overlays, 0 to 1.")] = 0.6,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; by default a GPU where there is one.")] = None,
) -> None:
    """Segment photographs: a mask of class indices, an overlay and rows of a table for each.

    Unusable images are listed and left out. An interrupted call resumes.
    """
    from seglab.data.images import image_paths
    from seglab.inference.folder import segment
    from seglab.models.loading import load_model

    with plain_errors():
        paths = image_paths(photos)
        net = load_model(model, device=device)
        typer.echo(f"{net.label} predicts {len(net.classes)} classes: {', '.join(net.classes.names)}")
        table, problems = segment(net, paths, out, tile=tile, precision=precision, alpha=alpha)
        if len(table):
            images = table.index.get_level_values("image").nunique()
            typer.echo(table.round(3).to_string() if len(table) <= 40 else f"{images} images")
            typer.echo(f"masks, overlays and table.csv are in {out}")
        if problems:
            raise ValueError("\n".join(problems))


@app.command()
def evaluate(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Models as unet_mini:toytown, or checkpoints; NAME=MODEL gives it a name in the tables."),
    ] = None,
    data: Annotated[str, typer.Option(help="Data set, as toytown, toytown:night, camvid.")] = "toytown",
    split: Annotated[str | None, typer.Option(help="Its split; by default test where there is one, else val.")] = None,
    store: Annotated[Path, typer.Option(help="SQLite file; what it holds already is not done again.")] = Path(
        "results.sqlite"
    ),
    predictions: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]DIR", help="Label maps ID.png of another program; may be given again."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Where data lies; for --data folder the one with images/ and masks/.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Class set of --data folder; of label maps, where it is not that of the data.")
    ] = None,
    size: Annotated[str, typer.Option(help="Score at the original size, or at the model's.")] = "original",
    precision: Annotated[
        str, typer.Option(help="float32, or bfloat16 where the processor is quick at it.")
    ] = "float32",
    batch: Annotated[int, typer.Option(help="Images of one size that go through the network at once.")] = 1,
    boundary: Annotated[bool, typer.Option(help="Count what boundary IoU needs, too.")] = False,
    calibration: Annotated[bool, typer.Option(help="Count confidences, too.")] = False,
    images: Annotated[int | None, typer.Option(help="Only the first so many images.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, mps; by default a GPU where there is one.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Folder to write the tables into, as CSV.")] = None,
) -> None:
    """Evaluator models on a data set. Interrupted, the same command goes on where it was.

    On several GPUs or machines: torchrun --nproc-per-node 4 -m seglab evaluate …
    """
    import os

    from seglab.data.loading import DataSelection
    from seglab.evaluation.evaluators import Predictions
    from seglab.evaluation.loop import evaluate as judge

    def named(text: str) -> tuple[str, str]:
        name, equals, what = text.partition("=")
        return (name, what) if equals else ("", text)

    with plain_errors():
        where = str(root) if root else None
        dataset = DataSelection(data, split, images, where, classes if data == "folder" else None).load()
        judged: list[tuple[str, str | Predictions]] = list(map(named, models or []))
        for name, folder in map(named, predictions or []):
            judged.append((name, Predictions(folder, classes or dataset.classes, name)))
        results = judge(judged, dataset, store, size=size, precision=precision, batch=batch, boundary=boundary,
                        calibration=calibration, device=device)  # fmt: skip
        if os.environ.get("RANK", "0") != "0":  # one of several processes speaks
            return
        _show(results, csv)


@app.command()
def report(
    plan: Annotated[Path | None, typer.Argument(help="A plan, YAML or JSON, instead of these options.")] = None,
    models: Annotated[
        list[str] | None, typer.Option(help="A model, or NAME=MODEL; may be given again. By default all minis.")
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option(help="A data set, as toytown:night; may be given again. By default Toytown.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of all of them; by default test where there is one.")] = None,
    predictions: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]DIR", help="Label maps ID.png of another program; may be given again."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Where data lies; for --data folder the one with images/ and masks/.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Class set of --data folder; of label maps, where it is not that of the data.")
    ] = None,
    images: Annotated[int | None, typer.Option(help="Only the first so many images of each data set.")] = None,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "",
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("reports/report"),
    check: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Evaluate this report's plan again, and say what differs.")
    ] = None,
) -> None:
    """Compare models, and write a page that somebody else can reproduce. Interrupted, it goes on where it was.

    Without any argument: all minis on Toytown, by day and in bad weather.
    """
    from dataclasses import replace

    from seglab.report.build import write
    from seglab.report.check import check as recheck
    from seglab.report.plan import default_plan, limited, plan_from, read_plan

    with plain_errors():
        if check:
            differing = recheck(check)
            for line in differing:
                typer.echo(line)
            if differing:
                raise ValueError(f"{len(differing)} of the figures in {check} came out differently here")
            typer.echo(f"every figure in {check} came out the same")
            return
        if plan:
            chosen = read_plan(plan)
        elif models or data or predictions:
            sets = [{"name": name, "split": split, "root": str(root) if root else None,
                     "classes": classes if name == "folder" else None} for name in data or ["toytown"]]  # fmt: skip
            wanted = models or ([] if predictions else list(default_plan().models))
            said = {"models": wanted, "predictions": predictions, "data": sets, "classes": classes}
            chosen = plan_from(said, "the command")
        else:
            chosen = default_plan()
        if images is not None:
            chosen = limited(chosen, images)
        page = write(replace(chosen, title=title) if title else chosen, out)
        typer.echo(f"the report is in {page}")


def _show(results: "Results", csv: Path | None) -> None:
    """The tables of a comparison, on the terminal and as files."""
    tables = {"summary": results.summary().drop(columns=["seeds", "why"]), "iou": results.iou_table()}
    if len(results.names) > 1:
        tables["pairs"] = results.compare()
    for table in tables.values():
        typer.echo(table.round(3).to_string() + "\n")
    typer.echo(results.convention())
    if csv:
        csv.mkdir(parents=True, exist_ok=True)
        # Seconds differ from run to run: what follows from the counts alone stays the same, byte for byte.
        tables |= {"timings": tables["summary"][["ms"]], "images": results.per_image()}
        tables["summary"] = tables["summary"].drop(columns="ms")
        for name, table in tables.items():
            table.to_csv(csv / f"{name}.csv", float_format="%.6f", lineterminator="\n")


if __name__ == "__main__":
    app(prog_name="seglab")
