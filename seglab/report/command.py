"""The command `seglab report`."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from seglab._utils.errors import plain_errors
from seglab._utils.folders import Force
from seglab._utils.text import echo
from seglab.evaluation.command import (
    OWN,
    Classes,
    InputSize,
    LabelMaps,
    Map,
    Mean,
    Overlap,
    Root,
    Std,
    Tile,
    data_classes,
    given_for,
    name_and_value,
)

Inside = Annotated[int | None, Option(min=1, help="Images of each data set in the page; default: up to 60, in 15 MB.")]


def report(
    plan: Annotated[Path | None, Argument(help="A plan, YAML or JSON, instead of these options.")] = None,
    models: Annotated[list[str] | None, Option(help="Model, or NAME=MODEL; repeatable; default: all minis.")] = None,
    data: Annotated[
        list[str] | None, Option(help=f"Data set, as toytown:fog; {OWN}; repeatable; default: toytown.")
    ] = None,
    split: Annotated[str | None, Option(help="Split of all of them; by default test where there is one.")] = None,
    predictions: LabelMaps = None,
    root: Root = None,
    classes: Classes = None,
    tile: Tile = None,
    overlap: Overlap = None,
    input_size: InputSize = None,
    mean: Mean = None,
    std: Std = None,
    mapping: Map = None,
    images: Annotated[int | None, Option(help="Only the first so many images of each data set.")] = None,
    title: Annotated[str, Option(help="Title of the page.")] = "",
    inside: Inside = None,
    runtime: Annotated[str | None, Option(help="As for evaluate; by default auto, or as in the plan.")] = None,
    out: Annotated[Path, Option(help="Folder of the report.")] = Path("reports/report"),
    force: Force = False,
    check: Annotated[Path | None, Option(metavar="DIR", help="Evaluate this report again and compare.")] = None,
) -> None:
    """Compare models, and write a page that can be reproduced. After an interruption, the same command continues.

    Without arguments: all minis on Toytown, in clear and in bad weather.
    """
    from seglab.data.translation import read_mapping
    from seglab.report import build
    from seglab.report.plan import default_plan, limited, plan_from, read_plan

    with plain_errors():
        if check:
            _check(check)
            return
        if plan:
            chosen = read_plan(plan)
        elif models or data or predictions:
            common = {"split": split, "root": str(root) if root else None}
            own = [data_classes(name, bool(predictions)) for name in data or ["toytown"]]
            selections = [common | {"name": name, "classes": classes if of_data else None}
                          for name, of_data in zip(data or ["toytown"], own, strict=True)]  # fmt: skip
            models = models or ([] if predictions else list(default_plan().models))
            given = {"classes": classes, "size": input_size, "mean": mean, "std": std}
            values = {"models": _with_given(models, given, any(own)), "predictions": predictions, "data": selections}
            chosen = plan_from(values | {"classes": classes}, "the command")
        else:
            chosen = default_plan()
        if images is not None:
            chosen = limited(chosen, images)
        if tile is not None or overlap is not None:
            chosen = replace(chosen, tile=tile or chosen.tile, overlap=overlap)
        pairs, runtime = read_mapping(mapping) if mapping else None, runtime or (None if plan else "auto")
        chosen = replace(chosen, **_given(mapping=pairs, inside=inside, title=title or None, runtime=runtime))
        echo(f"the report is in {build.write(chosen, out, force=force)}")


def _given(**options: Any) -> dict[str, Any]:
    """The options that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def _check(folder: Path) -> None:
    """Print what differs between a report and this machine; a ValueError if anything does."""
    from seglab.report.check import check

    differences = check(folder)
    for line in differences:
        echo(line)
    if differences:
        raise ValueError(f"{len(differences)} values in {folder} differ on this machine")
    echo(f"every value in {folder} and in its page is the same on this machine")


def _with_given(models: list[str], given: Mapping[str, Any], of_data: bool) -> dict[str, Any] | list[str]:
    """The models of a plan; those from elsewhere with what was given for them."""
    named = [(name or value, value) for name, value in map(name_and_value, models)]
    stated = {name: given_for(value, given, of_data) for name, value in named}
    if len(stated) < len(named) or not any(stated.values()):
        return models
    return {name: stated[name] | {"model": value} if stated[name] else value for name, value in named}
