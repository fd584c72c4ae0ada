"""The command `seglab train`: its options are the fields of `Recipe`, and a few of its own."""

import inspect
import os
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, get_args

from typer import Argument, Option, echo

from seglab._utils.errors import plain_errors
from seglab.training.recipe import Recipe


def train(
    model: Annotated[str, Argument(help="unet_mini starts untrained, unet_mini:toytown from these weights.")],
    data: Annotated[
        str,
        Option(
            help="Data set, or folder of your own data, to train on; also to validate on, unless --val names another."
        ),
    ],
    val: Annotated[str | None, Option(help="Data set to validate on.")] = None,
    split: Annotated[tuple[str, str], Option(help="Splits to train and to validate on.")] = ("train", "val"),
    out: Annotated[Path | None, Option(help="Folder for weights and history; by default runs/MODEL-DATA-SEED.")] = None,
    start: Annotated[Path | None, Option(help="Checkpoint to start from, as another run's best.safetensors.")] = None,
    norm: Annotated[str | None, Option(help="Replace BatchNorm by group or sync norm.")] = None,
    workers: Annotated[int, Option(help="Processes that load images.")] = 0,
    **recipe: Any,
) -> None:
    """Train a model. After an interruption, the same command continues.

    On several GPUs or machines: torchrun --nproc-per-node 4 -m seglab train …
    """
    import torch

    from seglab._utils.hashing import sha256_state
    from seglab._utils.paths import slug
    from seglab.data.duplicates import check_no_shared_images
    from seglab.data.loading import is_path, load_dataset
    from seglab.models.loading import DEFAULT, load_model
    from seglab.training.loop import fit

    with plain_errors():
        settings = Recipe(**recipe)
        train_data, val_data = load_dataset(data, split[0]), load_dataset(val or data, split[1])
        check_no_shared_images(train_data, val_data)
        torch.manual_seed(settings.seed)  # for the initial weights
        weights = start or (DEFAULT if ":" in model else None)
        net = load_model(model, weights, train_data.classes, norm=norm)
        data_name = slug(train_data.name) if is_path(data) else data
        folder = out or Path("runs") / f"{model}-{data_name}-{settings.seed}".replace(":", "-")
        name = start.name if start else model
        origin = "untrained" if weights is None else f"{name} {sha256_state(net.net.state_dict())[:16]}"
        history = fit(net, train_data, val_data, settings, folder, workers=workers, start=origin)
    if os.environ.get("RANK", "0") == "0":  # only the first of several processes prints
        best = history.iloc[int(history["miou"].to_numpy().argmax())]
        echo(f"best after epoch {best.name}: mIoU {best['miou']:.3f} on {val_data.name} {val_data.split}, in {folder}")
        for name in net.classes.names:
            echo(f"  {name:<14} {best[name]:.3f}")


def _recipe_options() -> list[inspect.Parameter]:
    """An option for each field of `Recipe`, with its type, its meaning as help, and its default."""
    options, keyword = [], inspect.Parameter.KEYWORD_ONLY
    for field in fields(Recipe):
        kind, text = get_args(field.type)
        kind = list[str] if kind == tuple[str, ...] else kind  # an option that may be given several times
        option = Annotated[kind, Option(help=text, rich_help_panel="Recipe")]  # type: ignore[valid-type]
        options.append(inspect.Parameter(field.name, keyword, default=field.default, annotation=option))
    return options


*_own, _ = inspect.signature(train).parameters.values()  # the last one, **recipe, becomes an option for each field
train.__signature__ = inspect.Signature([*_own, *_recipe_options()])  # type: ignore[attr-defined]
