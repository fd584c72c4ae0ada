"""The command `seglab evaluate`, and the options that it shares with `seglab report`."""

import os
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from seglab._utils.errors import plain_errors
from seglab._utils.folders import Force, claim
from seglab._utils.text import echo, write_csv

if TYPE_CHECKING:
    from seglab.evaluation.evaluators import Predictions
    from seglab.evaluation.results import Results
    from seglab.models.adapters import SegModel

LabelMaps = Annotated[list[str] | None, Option(metavar="[NAME=]DIR", help="Predicted masks DIR/ID.png; repeatable.")]
Root = Annotated[Path | None, Option(help="Folder of the data; for --data folder, with images/ and masks/.")]
Classes = Annotated[str | None, Option(help="Class set of --data folder; of --predictions or models, if others.")]
Tile = Annotated[tuple[int, int] | None, Option(help="Predict overlapping tiles of this height and width.")]
Overlap = Annotated[int | None, Option(help="Smallest overlap of the tiles in pixels; by default at most 64.")]
Runtime = Annotated[str, Option(help="torch, onnxruntime or openvino; auto: the fastest that agrees with torch.")]
InputSize = Annotated[
    str | None,
    Option(help="Short side of the images for models that do not state it, as 512; also 384x512, or original."),
]
Colors = tuple[float, float, float] | None
Mean = Annotated[Colors, Option(help="Mean of R, G, B (0 to 1), for models that do not state it.")]
Std = Annotated[Colors, Option(help="Standard deviation of R, G, B (0 to 1), for models that do not state it.")]
Map = Annotated[Path | None, Option(metavar="FILE", help="Counterparts of the models' classes, YAML or CSV.")]
TABLES = ("summary", "iou", "pairs", "mapping", "timings", "images")  # which the command writes
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
    input_size: InputSize = None,
    mean: Mean = None,
    std: Std = None,
    mapping: Map = None,
    device: Annotated[str | None, Option(help="cpu, cuda, mps; by default a GPU where there is one.")] = None,
    runtime: Runtime = "auto",
    csv: Annotated[Path | None, Option(help="Folder to write the tables to, as CSV.")] = None,
    force: Force = False,
) -> None:
    """Evaluate models on a data set; NAME is a model's name in the tables.

    After an interruption, the same command continues.
    On several GPUs or machines: torchrun --nproc-per-node 4 -m seglab evaluate …
    """
    from seglab.data.loading import DataSelection
    from seglab.data.translation import read_mapping
    from seglab.evaluation import evaluators, loop

    first = os.environ.get("RANK", "0") == "0"  # of several processes, only the first one prints and writes tables
    with plain_errors(), claim(csv, "evaluate", force, _holds_tables) if csv and first else nullcontext():
        folder = str(root) if root else None
        of_data = classes if data_classes(data, bool(predictions)) else None
        dataset = DataSelection(data, split, images, folder, of_data).load()
        given: dict[str, Any] = {"classes": classes, "size": input_size, "mean": mean, "std": std}
        named: list[tuple[str, str | SegModel | Predictions]] = [
            (name, _loaded(model, given_for(model, given, of_data is not None), device))
            for name, model in map(name_and_value, models or [])
        ]
        for name, maps in map(name_and_value, predictions or []):
            named.append((name, evaluators.Predictions(maps, classes or dataset.classes)))
        results = loop.evaluate(named, dataset, store, size=size, precision=precision, batch=batch, boundary=boundary,
                                calibration=calibration, tile=tile, overlap=overlap, device=device,
                                mapping=read_mapping(mapping) if mapping else None, runtime=runtime)  # fmt: skip
        if first:
            _print_tables(results, csv)


def data_classes(data: str, predictions: bool) -> bool:
    """Whether --classes is about the data: they are "folder", or your own, whose card it has to agree with."""
    from seglab.data.loading import is_path

    return data == "folder" or (is_path(data) and not predictions)


def given_for(model: str, given: Mapping[str, Any], of_data: bool) -> dict[str, Any]:
    """What the options state of a model; nothing where it is not from elsewhere.

    Where --classes is about the data (`of_data`), it is also about models whose files have no names of classes.
    """
    from seglab.models.sources.opening import is_source

    named = of_data and model.startswith("hf:")
    return {key: value for key, value in given.items() if value and is_source(model)
            and not (named and key == "classes")}  # fmt: skip


def _loaded(model: str, given: Mapping[str, Any], device: str | None) -> "str | SegModel":
    """A model with what was given for it; its name where nothing was."""
    from seglab.models.loading import load_model

    return load_model(model, device=device, **given) if given else model


def name_and_value(text: str) -> tuple[str, str]:
    """`"NAME=VALUE"` → (NAME, VALUE); `"VALUE"` → ("", VALUE)."""
    name, equals, value = text.partition("=")
    return (name, value) if equals else ("", text)


def _print_tables(results: "Results", csv: Path | None) -> None:
    """Print the main tables, and write them into a folder."""
    tables = {"summary": results.summary().drop(columns=["seeds", "why"]), "iou": results.iou_table()}
    if len(results.names) > 1:
        tables["pairs"] = results.compare()
    if len(mapping := results.mapping()):
        tables["mapping"] = mapping
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
