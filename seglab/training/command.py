"""The command `seglab train`: its options are the fields of `Recipe`, and a few of its own.

For your own data, options that are not stated follow from the data, see `choices`.
"""

import inspect
import os
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from typer import Argument, Context, Option

from seglab._utils.errors import plain_errors
from seglab._utils.folders import Force, claim
from seglab._utils.text import echo
from seglab.training.recipe import Recipe

if TYPE_CHECKING:
    from seglab.data.dataset import SegmentationDataset

CHECKED = 500  # training images from which a recipe is chosen, evenly spaced


def train(
    context: Context,
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
    force: Force = False,
    **recipe: Any,
) -> None:
    """Train a model. After an interruption, the same command continues.

    For your own data, splits, crops, class weights and epochs that you do not state
    are chosen from the data; a line for each states the choice and its reason.

    On several GPUs or machines: torchrun --nproc-per-node 4 -m seglab train …
    """
    import torch

    from seglab._utils.hashing import sha256_state
    from seglab._utils.paths import slug
    from seglab.data.duplicates import check_no_shared_images
    from seglab.data.loading import is_path
    from seglab.models.loading import DEFAULT, load_model
    from seglab.training.loop import fit
    from seglab.training.runs import is_run

    with plain_errors(), ExitStack() as stack:
        settings = Recipe(**recipe)
        train_data, val_data, reason = _load(data, val, None if _is_default(context, "split") else split)
        data_name = slug(train_data.name) if is_path(data) else data
        folder = out or Path("runs") / f"{model}-{data_name}-{settings.seed}".replace(":", "-")
        if _prints():  # before anything that takes long
            stack.enter_context(claim(folder, "train", force, is_run))
        check_no_shared_images(train_data, val_data)
        if is_path(data):
            stated = {name: value for name, value in recipe.items() if not _is_default(context, name)}
            settings, val_data = _choose(train_data, val_data, stated, reason)
        torch.manual_seed(settings.seed)  # for the initial weights
        weights = start or (DEFAULT if ":" in model else None)
        net = load_model(model, weights, train_data.classes, norm=norm)
        name = start.name if start else model
        origin = "untrained" if weights is None else f"{name} {sha256_state(net.net.state_dict())[:16]}"
        history = fit(net, train_data, val_data, settings, folder, workers=workers, start=origin, force=force)
    if _prints():
        best = history.iloc[int(history["miou"].to_numpy().argmax())]
        echo(f"best after epoch {best.name}: mIoU {best['miou']:.3f} on {val_data.name} {val_data.split}, in {folder}")
        for name in net.classes.names:
            echo(f"  {name:<14} {best[name]:.3f}")


def _prints() -> bool:
    """Whether this is the first of several processes, the only one that prints."""
    return os.environ.get("RANK", "0") == "0"


def _is_default(context: Context, name: str) -> bool:
    """Whether the user has left out an option."""
    source = context.get_parameter_source(name)
    return source is None or source.name == "DEFAULT"


def _load(
    data: str, val: str | None, split: tuple[str, str] | None
) -> tuple["SegmentationDataset", "SegmentationDataset", str]:
    """Training data, validation data, and a sentence about the division of your own data; it is empty for other data.

    Of your own data without splits four fifths of the groups are for training, or all images if `val` is given.
    """
    from seglab.data.card import CARD
    from seglab.data.inspection import find_card
    from seglab.data.loading import is_path, load_dataset
    from seglab.data.own import load_card, splits_of
    from seglab.data.splits import DIVISION

    usual = "train", "val"
    if split or not is_path(data):
        return load_dataset(data, (split or usual)[0]), load_dataset(val or data, (split or usual)[1]), ""
    card = find_card(data)
    known = splits_of(card)
    if val:
        train_data, val_data = load_card(card, "train" if known else None), load_dataset(val, "val")
        return train_data, val_data, f"split: {len(train_data)} images for training, because --val names other data"
    written = not Path(data).expanduser().is_dir() or (Path(data).expanduser() / CARD).is_file()
    proposed = not written and {"train", "val"} <= card.splits.keys()  # by the inspection of the folder
    divided = "val" not in known and not card.splits
    card = replace(card, splits=DIVISION) if divided else card
    reason = "as the data state"
    if divided or proposed:
        stated = ", ".join(f"{name}: {value}" for name, value in card.splits.items())
        reason = (
            f"by {card.splits.get('by', 'group')}, because the data state no division; to evaluate on the same images,"
            f" state it in {CARD}, as splits: {{{stated}}}"
        )
    train_data, val_data = (load_card(card, name) for name in usual)
    groups = [len(set(part.groups)) for part in (train_data, val_data)]
    counts = [f"{len(part)} images in {count} group{'s' * (count > 1)}"
              for part, count in zip((train_data, val_data), groups, strict=True)]  # fmt: skip
    return train_data, val_data, f"split: {counts[0]} for training and {counts[1]} for validation, {reason}"


def _choose(
    train_data: "SegmentationDataset", val_data: "SegmentationDataset", stated: dict[str, Any], reason: str
) -> tuple[Recipe, "SegmentationDataset"]:
    """Choose what the user does not state, and print it; returns the recipe and the images that are validated.

    Raises:
        ValueError: training images that cannot be used.
    """
    from seglab.data.checking import check_data
    from seglab.training.choices import choose

    def spread(dataset: "SegmentationDataset", count: int) -> "SegmentationDataset":
        return dataset.subset(range(0, len(dataset), -(-len(dataset) // count)))

    found = check_data(spread(train_data, CHECKED), progress=_prints())
    if found.problems:
        listed = "\n  ".join(found.problems[:10])
        raise ValueError(f"{len(found.problems)} of the training images cannot be used:\n  {listed}")
    choices = choose(found, len(train_data), len(val_data), stated)
    if _prints():
        for sentence in filter(None, (reason, *choices.sentences)):
            echo(sentence)
    return choices.recipe, spread(val_data, choices.val_images)


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
