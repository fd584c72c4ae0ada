"""The `seglab` command. Each subcommand imports what it needs when it runs, so that `--help` is instant."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

try:
    import typer
except ModuleNotFoundError:  # somebody runs the checkout with a Python that nothing was installed into
    sys.exit(f"seglab is not set up in {sys.executable}: run `make setup`, then .venv/bin/seglab")

app = typer.Typer(
    name="seglab",
    help="A workbook for semantic segmentation: learn it, explore it, compare its models. Start with: seglab lab",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _prepare() -> None:
    # A Windows console that lacks ✓ or an umlaut shows "?" instead of failing.
    for stream in (sys.stdout, sys.stderr):
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")


@contextmanager
def _plain_errors() -> Iterator[None]:
    """What a ValueError says is meant for the reader: show that, without a traceback."""
    try:
        yield
    except (ValueError, FileNotFoundError) as error:
        typer.echo(f"{typer.style('✗', fg='red')} {error}", err=True)
        raise typer.Exit(1) from None


@app.command()
def doctor() -> None:
    """Look whether everything that seglab needs is there and works; say what to do where it does not."""
    from seglab.doctor import diagnose

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
        typer.Option(metavar="NAME SPLIT", help="Read every image and mask of this one and say which cannot be used."),
    ] = None,
) -> None:
    """List the data sets, and which of them are here."""
    from seglab.catalogue import table
    from seglab.data import data_root, load_dataset
    from seglab.doctor import present

    if check is None:
        rows = table()[["title", "classes", "images", "download"]]
        here = set(present())
        rows["here"] = ["drawn" if name == "toytown" else "yes" if name in here else "" for name in rows.index]
        typer.echo(rows.to_string())
        typer.echo(f"\nData lies in {data_root()}; the environment variable SEGLAB_DATA names another folder.")
        return
    with _plain_errors():
        dataset = load_dataset(*check, download=False)
        dataset.check()
    typer.echo(f"All {len(dataset)} images of {' '.join(check)} and their masks can be used.")


@app.command()
def lab(
    port: Annotated[int, typer.Option(help="Where to serve; the next free one is taken when it is in use.")] = 8888,
    ip: Annotated[
        str, typer.Option(help="Who may connect: this machine only, or 0.0.0.0 for everybody.")
    ] = "127.0.0.1",
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
) -> None:
    """Open the notebooks in JupyterLab, on the first one. Stop it with Ctrl-C, twice.

    Where seglab was installed without a checkout, the notebooks are copied to ./seglab-notebooks first.
    """
    from seglab.lab import open_lab, workspace

    with _plain_errors():
        folder = workspace(copy_to=Path("seglab-notebooks"))
    open_lab(folder, ip, port, browser)


@app.command()
def train(
    model: Annotated[str, typer.Argument(help="A model of seglab.MODELS, as unet_mini; untrained.")],
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

    from seglab.data import load_dataset
    from seglab.models import load_model
    from seglab.system import sha256_file
    from seglab.train import Recipe, fit

    with _plain_errors():
        recipe = Recipe(epochs=epochs, batch=batch, size=size, scale=scale, favour=tuple(favour or ()),
                        optimizer=optimizer, lr=lr, ema=ema, freeze=freeze, loss=loss, weights=weights,
                        precision=precision, seed=seed)  # fmt: skip
        train_data, val_data = load_dataset(data, split[0]), load_dataset(val or data, split[1])
        torch.manual_seed(seed)  # of the first weights
        net = load_model(model, start, train_data.classes, norm=norm)
        folder = out or Path("runs") / f"{model}-{data}-{seed}".replace(":", "-")
        origin = f"{start.name} {sha256_file(start)[:16]}" if start else "untrained"
        history = fit(net, train_data, val_data, recipe, folder, workers=workers, start=origin)
    if os.environ.get("RANK", "0") != "0":  # one of several processes speaks
        return
    best = int(history["miou"].to_numpy().argmax())
    told = f"mIoU {history['miou'].iloc[best]:.3f} on {val_data.name} {val_data.split}, in {folder}"
    typer.echo(f"best after epoch {best + 1}: {told}")
    for name in net.classes.names:
        typer.echo(f"  {name:<14} {history[name].iloc[best]:.3f}")


if __name__ == "__main__":
    app(prog_name="seglab")
