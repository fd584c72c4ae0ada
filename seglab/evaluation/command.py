"""The command `seglab evaluate`, and the options that it shares with `seglab report`."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from seglab._utils.errors import plain_errors
from seglab._utils.folders import claim
from seglab._utils.text import echo, write_csv

if TYPE_CHECKING:
    from seglab.evaluation.evaluators import Predictions
    from seglab.evaluation.results import Results

LabelMaps = Annotated[list[str] | None, Option(metavar="[NAME=]DIR", help="Predicted masks DIR/ID.png; repeatable.")]
Root = Annotated[Path | None, Option(help="Folder of the data; for --data folder, with images/ and masks/.")]
Classes = Annotated[str | None, Option(help="Class set of --data folder; of --predictions, if they have another.")]
Tile = Annotated[tuple[int, int] | None, Option(help="Predict overlapping tiles of this height and width.")]
Overlap = Annotated[int | None, Option(help="Smallest overlap of the tiles in pixels; by default at most 64.")]
Runtime = Annotated[str, Option(help="torch, onnxruntime or openvino; auto: the fastest that agrees with torch.")]
TABLES = ("summary", "iou", "pairs", "timings", "images")  # which the command writes
OWN = "or a folder of your own data or its dataset.yaml"


def evaluate(
    models: Annotated[list[str] | None, Argument(help="unet_mini:toytown, a checkpoint, or NAME=MODEL.")] = None,
    data: Annotated[str, Option(help=f"Data set, as toytown, toytown:night, camvid; {OWN}.")] = "toytown",
    split: Annotated[str | None, Option(help="Its split; by default test where there is one, else val.")] = None,
    store: Annotated[Path, Option(help="SQLite file; finished images are not repeated.")] = Path("results.sqlite"),
    predictions: LabelMaps = None,
    root: Root = None,
    classes: Classes = None,
    size: Annotated[str, Option(help="Score at the original size, or at the model's.")] = "original",
    precision: Annotated[str, Option(help="float32 or bfloat16.")] = "float32",
    batch: Annotated[int, Option(help="Images of one size per forward pass.")] = 1,
    boundary: Annotated[bool, Option(help="Also count for boundary IoU.")] = False,
    calibration: Annotated[bool, Option(help="Also count confidences.")] = False,
    tile: Tile = None,
    overlap: Overlap = None,
    images: Annotated[int | None, Option(help="Only the first so many images.")] = None,
    device: Annotated[str | None, Option(help="cpu, cuda, mps; by default a GPU where there is one.")] = None,
    runtime: Runtime = "auto",
    csv: Annotated[Path | None, Option(help="Folder to write the tables to, as CSV.")] = None,
    force: Annotated[bool, Option("--force", help="Write into that folder although it holds other files.")] = False,
) -> None:
    """Evaluate models on a data set; NAME is a model's name in the tables.

    After an interruption, the same command continues.
    On several GPUs or machines: torchrun --nproc-per-node 4 -m seglab evaluate …
    """
    from seglab.data.loading import DataSelection
    from seglab.evaluation import evaluators, loop

    first = os.environ.get("RANK", "0") == "0"  # of several processes, only the first one prints and writes tables
    with plain_errors(), claim(csv, "evaluate", force, _holds_tables) if csv and first else nullcontext():
        folder = str(root) if root else None
        of_data = classes if data_classes(data, bool(predictions)) else None
        dataset = DataSelection(data, split, images, folder, of_data).load()
        named: list[tuple[str, str | Predictions]] = list(map(name_and_value, models or []))
        for name, maps in map(name_and_value, predictions or []):
            named.append((name, evaluators.Predictions(maps, classes or dataset.classes)))
        results = loop.evaluate(named, dataset, store, size=size, precision=precision, batch=batch, boundary=boundary,
                                calibration=calibration, tile=tile, overlap=overlap, device=device,
                                runtime=runtime)  # fmt: skip
        if first:
            _print_tables(results, csv)


def data_classes(data: str, predictions: bool) -> bool:
    """Whether --classes is about the data: they are "folder", or your own, whose card it has to agree with."""
    from seglab.data.loading import is_path

    return data == "folder" or (is_path(data) and not predictions)


def name_and_value(text: str) -> tuple[str, str]:
    """`"NAME=VALUE"` → (NAME, VALUE); `"VALUE"` → ("", VALUE)."""
    name, equals, value = text.partition("=")
    return (name, value) if equals else ("", text)


def _print_tables(results: "Results", csv: Path | None) -> None:
    """Print the main tables, and write them into a folder."""
    tables = {"summary": results.summary().drop(columns=["seeds", "why"]), "iou": results.iou_table()}
    if len(results.names) > 1:
        tables["pairs"] = results.compare()
    for table in tables.values():
        echo(table.round(3).to_string() + "\n")
    echo(results.convention())
    if csv:
        # Times differ from run to run; the other files depend on the counts alone and stay equal, byte for byte.
        tables |= {"timings": tables["summary"][["ms"]], "images": results.per_image()}
        tables["summary"] = tables["summary"].drop(columns="ms")
        for name, table in tables.items():
            write_csv(table, csv / f"{name}.csv")


def _holds_tables(folder: Path) -> bool:
    """Whether a folder holds nothing but tables of this command."""
    return {path.name for path in folder.iterdir()} <= {f"{name}.csv" for name in TABLES}
