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


if __name__ == "__main__":
    app(prog_name="seglab")
