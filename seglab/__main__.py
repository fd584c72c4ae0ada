"""The `seglab` command. Each subcommand imports what it needs when it runs, so that `--help` is instant."""

import sys
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
def lab(
    port: Annotated[int, typer.Option(help="Where to serve; the next free one is taken when it is in use.")] = 8888,
    ip: Annotated[
        str, typer.Option(help="Who may connect: this machine only, or 0.0.0.0 for everybody.")
    ] = "127.0.0.1",
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
) -> None:
    """Open the notebooks in JupyterLab, on the first one. Stop it with Ctrl-C, twice.

    Installed without a checkout, the notebooks are copied to ./seglab-notebooks first; a copy that is
    already there is kept.
    """
    from seglab.lab import open_lab, workspace

    try:
        folder = workspace(copy_to=Path("seglab-notebooks"))
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from None
    open_lab(folder, ip, port, browser)


if __name__ == "__main__":
    app(prog_name="seglab")
