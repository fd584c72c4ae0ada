"""The command `seglab datasets`: the known data sets, and your own, inspected and checked."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from seglab._utils.errors import plain_errors
from seglab._utils.folders import check_absent
from seglab._utils.paths import replacing
from seglab._utils.text import echo

if TYPE_CHECKING:
    from seglab.data.card import Proposal


def datasets(
    split: Annotated[str | None, Argument(help="Split to check; of your own data by default all images.")] = None,
    inspect: Annotated[
        Path | None, Option(metavar="DIR", help="Recognise the annotations in a folder; print evidence and a card.")
    ] = None,
    write: Annotated[bool, Option("--write", help="With --inspect: write the card to DIR/dataset.yaml.")] = False,
    answer: Annotated[
        str | None, Option(metavar="OPTION", help="With --inspect: answer its question, by number or by text.")
    ] = None,
    force: Annotated[bool, Option("--force", help="With --write or --sheet: replace a file that exists.")] = False,
    check: Annotated[
        str | None, Option(metavar="NAME|DIR", help="Read every image and mask of a data set; print what was read.")
    ] = None,
    sheet: Annotated[
        Path | None, Option(metavar="FILE", help="With --check: write pictures with class colours, as sheet.png.")
    ] = None,
) -> None:
    """List the known data sets; inspect and check your own.

    Your own data is a folder as your annotation tool exported it, with its images.

    1. seglab datasets --inspect DIR --write
    recognises COCO, labelme, CVAT, Label Studio, VIA, Supervisely, Roboflow,
    YOLO, VOC, nnU-Net, MMSegmentation, Parquet, TIFF, NIfTI and plain masks.
    It writes a card, DIR/dataset.yaml, which you can edit: names of classes,
    patterns of images and masks, the meaning of values in masks, splits.

    2. seglab datasets --check DIR --sheet sheet.png
    shows the pixels of each class, warnings, and pictures with the classes.

    3. seglab train unet_mini --data DIR
    trains a model; seglab evaluate and seglab report take --data DIR as well.
    """
    with plain_errors():
        if inspect is not None and check is not None:
            raise ValueError("--inspect and --check are two steps; give one of them")
        wrong = {"--write": write and inspect is None, "--answer": answer is not None and inspect is None,
                 "--force": force and not write and sheet is None, "--sheet": sheet is not None and check is None,
                 "SPLIT": split is not None and check is None}  # fmt: skip
        for option, misplaced in wrong.items():
            if misplaced:
                raise ValueError(f"{option} has no meaning here; see seglab datasets --help")
        if inspect is not None:
            _inspect(inspect, write, answer, force)
        elif check is not None:
            if sheet is not None:
                check_absent(sheet, force)
            _check(check, split, sheet)
        else:
            _list()


def _list() -> None:
    from seglab.data.catalogue import table
    from seglab.data.loading import data_root, local_datasets

    rows, local = table()[["title", "classes", "images", "download"]], set(local_datasets())
    rows["here"] = ["drawn" if name == "toytown" else "yes" if name in local else "" for name in rows.index]
    echo(rows.to_string())
    echo(f"\nData lies in {data_root()}; the environment variable SEGLAB_DATA names another folder.")
    echo("Your own data: seglab datasets --inspect DIR")


def _inspect(folder: Path, write: bool, answer: str | None, force: bool) -> None:
    from seglab.data.card import CARD, card_text
    from seglab.data.inspection import answered
    from seglab.data.inspection import inspect as inspect_folder

    path = folder / CARD
    if write:
        check_absent(path, force)
    proposal = inspect_folder(folder)
    for sentence in proposal.evidence:
        echo(f"• {sentence}")
    if proposal.question is not None and answer is None:
        _ask(proposal, write)
        return
    card = answered(proposal, answer)
    echo(f"\n# {path}\n{card_text(card)}")
    if write:
        with replacing(path) as unfinished:
            unfinished.write_text(card_text(card), encoding="utf-8")
        echo(f"written to {path}; see what is read: seglab datasets --check {folder} --sheet sheet.png")
    else:
        echo("Add --write to write this card.")


def _ask(proposal: "Proposal", write: bool) -> None:
    """Print the question and its options; an error where the card was to be written."""
    assert proposal.question is not None
    echo(f"\n{proposal.question.text}")
    for number, option in enumerate(proposal.question.options, 1):
        echo(f"  {number}  {option}")
    sentence = "answer the question, as --answer 1"
    if write:
        raise ValueError(f"no card was written: {sentence}")
    echo(f"To see the card, {sentence}.")


def _check(name: str, split: str | None, sheet: Path | None) -> None:
    from seglab.data.checking import check_data
    from seglab.data.inspection import find_card
    from seglab.data.loading import is_path, load_dataset
    from seglab.data.own import splits_of
    from seglab.data.sheet import write_sheet

    dataset = load_dataset(name, split, download=False)
    own = splits_of(find_card(name)) if is_path(name) and split is None else ()
    found = check_data(dataset, {part: load_dataset(name, part) for part in own})
    echo(found.classes.assign(fraction=found.classes["fraction"].map("{:.4f}".format)).to_string())
    echo("")
    for subject, sentence in found.facts.items():
        echo(f"{subject}: {sentence}")
    for sentence in found.warnings:
        echo(f"! {sentence}")
    if sheet is not None:
        write_sheet(sheet, dataset)
        echo(f"pictures of {min(12, len(dataset))} images are in {sheet}")
    if found.problems:
        shown = "\n  ".join([*found.problems[:10], *["…"] * (len(found.problems) > 10)])
        raise ValueError(f"{len(found.problems)} of {len(dataset)} images in {name!r} cannot be used:\n  {shown}")
    echo(f"All {len(dataset)} images of {' '.join(filter(None, (name, split)))} and their masks can be used.")
