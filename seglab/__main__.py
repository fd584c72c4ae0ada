"""The `seglab` command. Each subcommand imports what it needs when it runs, so that `--help` is instant."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

try:
    import typer
except ModuleNotFoundError:  # a checkout that is run with a Python without its packages
    sys.exit(f"seglab is not set up in {sys.executable}: run `make setup`, then .venv/bin/seglab")

from seglab._utils.errors import plain_errors
from seglab._utils.folders import check_absent
from seglab._utils.paths import replacing
from seglab._utils.text import echo
from seglab.data.command import datasets
from seglab.evaluation.command import InputSize, Mean, Runtime, Std, Tile, evaluate
from seglab.inference.command import export
from seglab.report.command import report
from seglab.training.command import train
from seglab.viz.command import explore

if TYPE_CHECKING:
    from seglab.models.adapters import SegModel

ModelName = Annotated[
    str | None,
    typer.Option(
        help="A model as unet_mini:camvid, a checkpoint, hf:OWNER/NAME, smp:DIR,"
        " tv:NAME, a file of ONNX, torch.export or TorchScript; by default the best bundled one."
    ),
]
OwnClasses = Annotated[
    str | None,
    typer.Option(help="Your own data, or a data set: its class names and colours, which must be the model's."),
]

app = typer.Typer(
    name="seglab",
    help="A workbook for semantic segmentation: learn it, explore it, compare its models. Start with: seglab lab",
    epilog="Tab completes commands and options after: seglab --install-completion (once, then open a new terminal).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    from seglab import __version__

    if asked:
        echo(f"seglab {__version__}")
        raise typer.Exit


@app.callback()
def _prepare(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
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
        echo(finding.sentence, mark, color)
        if finding.remedy:
            echo(f"  → {finding.remedy}")
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)


app.command()(datasets)


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="Show the details of one model.")] = None,
    card: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the details as JSON.")] = None,
    force: Annotated[bool, typer.Option("--force", help="With --card: replace a file that exists.")] = False,
) -> None:
    """List the models, and which of their weights are on this machine."""
    import json
    import textwrap

    from seglab.models.weights import cards

    with plain_errors():
        if card:
            if name is None:
                raise ValueError("a card describes one model; name it: seglab models NAME --card FILE")
            check_absent(card, force)
            text = json.dumps(cards.export(name), indent=2) + "\n"
            with replacing(card) as unfinished:
                unfinished.write_text(text, encoding="utf-8")
            echo(f"the card of {name} is in {card}")
        elif name is None:
            echo(cards.table().round({"params": 2, "gmacs": 2, "miou": 3}).to_string(na_rep="–"))
            echo("\nparams in millions, gmacs in 10⁹ multiply-accumulates, miou as published or on the card.")
            echo("seglab models NAME shows the details of one; seglab fetch downloads weights in advance.")
        else:
            for subject, lines in cards.page(name).items():
                echo(subject)
                for line in lines:
                    echo(textwrap.fill(line, 100, initial_indent="  ", subsequent_indent="    "))


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
                echo(f"{label} is here")
            return
        rows = {label: published.resolve(label) for label in published.labels()}
        if not names and not everything:
            for label, (spec, weights) in rows.items():
                cached = "here" if published.is_cached(spec, weights) else ""
                echo(f"{label:<38} {human(spec.weights[weights].num_bytes):>8}  {cached}")
            total = sum(spec.weights[weights].num_bytes for spec, weights in rows.values())
            raise ValueError(f"name some of these, or give --all ({human(total)})")
        for label in rows if everything else names or ():
            spec, weights = published.resolve(label)
            if to:
                bundle.pack(label, to)
            else:
                published.state(spec, weights)
            echo(f"{spec.name}:{weights} is {f'in {to}' if to else 'here'}")
            echo(f"  licence of these weights: {spec.weights[weights].licence}")


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


app.command()(explore)
app.command()(train)


@app.command()
def predict(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Image files, or folders of them.")],
    model: ModelName = None,
    out: Annotated[Path, typer.Option(help="Folder for masks, overlays and the table.")] = Path("predictions"),
    data: OwnClasses = None,
    tile: Tile = None,
    precision: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    alpha: Annotated[float, typer.Option(help="Opacity of the class colours in overlays, 0 to 1.")] = 0.6,
    format: Annotated[
        str, typer.Option(help="masks; coco and panoptic add an annotation file to the masks, see above.")
    ] = "masks",
    classes: Annotated[
        str | None, typer.Option(help="Class set of a model that does not state its classes, or 'sky,road,tree'.")
    ] = None,
    input_size: InputSize = None,
    mean: Mean = None,
    std: Std = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; by default a GPU where there is one.")] = None,
    runtime: Runtime = "auto",
    force: Annotated[
        bool, typer.Option("--force", help="Write into that folder although it holds other files; replace masks.")
    ] = False,
) -> None:
    """Segment photographs: a mask of class indices, an overlay and rows of a table for each.

    index.html shows them in the browser; hide classes, change the opacity.
    Unusable images are listed and left out. An interrupted call resumes. Masks of
    other programs, and of another photograph of the same name, are kept.

    Annotation tools open masks as annotations of the photographs:
    --format coco adds annotations/instances_predicted.json with run lengths,
    for CVAT, FiftyOne, Datumaro and pycocotools;
    --format panoptic adds annotations/panoptic_predicted.json and PNG files,
    for Datumaro, Detectron2 and MMDetection.
    seglab reads both, too: copy the folder annotations to the photographs, then
    seglab datasets --inspect PHOTOS.
    """
    from seglab.data.images import image_paths
    from seglab.inference.folder import claimed, segment
    from seglab.models.weights.zoo import photograph_model
    from seglab.viz.widgets.predicted import write_page

    with plain_errors(), claimed(paths := image_paths(photos), out, force):
        net = _stated(model or photograph_model(), data, classes, size=input_size, mean=mean, std=std, device=device)
        table, problems = segment(net, paths, out, tile=tile, precision=precision, alpha=alpha, format=format,
                                  runtime=runtime, force=force)  # fmt: skip
        if len(table):
            images = table.index.get_level_values("image").nunique()
            echo(table.round(3).to_string() if len(table) <= 40 else f"{images} images")
            annotations = "" if format == "masks" else f", annotations ({format})"
            echo(f"masks, overlays{annotations} and table.csv are in {out}")
            shown = set(table.index.get_level_values("image"))
            echo(write_page(out, [path for path in paths if path.name in shown], net.label, net.classes, force))
        if problems:
            raise ValueError("\n".join(problems))


def _stated(name: str, data: str | None, classes: str | None, **given: Any) -> "SegModel":
    """The model of `predict`, with the class names of its own data; prints its classes and input."""
    from seglab.data.loading import classes_of
    from seglab.models.loading import load_model
    from seglab.models.sources.opening import is_source
    from seglab.models.sources.stated import input_line

    if classes and not is_source(name):
        raise ValueError(f"{name} states its own classes; leave out --classes")
    net = load_model(name, classes=classes, **given)
    if data is not None:
        net.classes = classes_of(data, net.classes.names)
    echo(f"{net.label} predicts {len(net.classes)} classes: {', '.join(net.classes.names)}")
    if is_source(name):
        echo(input_line(net))
    return net


app.command()(evaluate)
app.command()(report)
app.command()(export)

if __name__ == "__main__":
    app(prog_name="seglab")
