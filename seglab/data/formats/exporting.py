"""A data set as a folder that annotation tools and `load_dataset` open: images, annotations and their card."""

from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from tqdm.auto import tqdm

from seglab._utils.errors import unknown
from seglab._utils.paths import replacing, slug
from seglab.data.card import CARD, Card, card_text
from seglab.data.card_values import VOID
from seglab.data.dataset import SegmentationDataset
from seglab.data.formats.writing import WRITERS, LabelMap, annotation_file


def export(dataset: SegmentationDataset, folder: str | Path, format: str = "coco", progress: bool = True) -> Card:
    """Write a data set as images (PNG), an annotation file and a `dataset.yaml`; `load_dataset(folder)` reads it.

    The layout is that of CVAT and Datumaro: images/SPLIT/ID.png and annotations/instances_SPLIT.json, or
    annotations/panoptic_SPLIT.json with its PNG files. SPLIT is "default" for a data set without splits. Several splits
    can be exported into one folder, one after the other. Images, class indices, names, colours and void pixels stay
    the same; the sets of things and stuff are in the annotation file only.

    Args:
        format: "coco" or "panoptic", see `write_coco` and `write_panoptic`.

    Returns:
        The card in `dataset.yaml`.

    Raises:
        ValueError: an unknown format; a class named "void"; the annotation file or another `dataset.yaml` exists
            already; what the writer refuses.
    """
    if format not in WRITERS:
        raise unknown("format", format, WRITERS)
    folder, classes, subset = Path(folder), dataset.classes, slug(dataset.split or "default")
    if VOID in classes.names:
        raise ValueError(f"{classes.name!r} has a class named 'void', which {CARD} takes for void pixels; rename it")
    file, described = annotation_file(folder, format, subset), folder / CARD
    card = Card(
        folder, classes.names, format=format, images="images/{id}.png",
        colors=dict(zip((*classes.names, VOID), (*classes.colors, classes.void_color), strict=True)),
        masks="annotations/panoptic_{id}.png" if format == "panoptic" else "",
        annotations=annotation_file(folder, format, "*").relative_to(folder).as_posix(),
        labels={VOID: VOID} if format == "coco" else {},
    )  # fmt: skip
    other = described.exists() and described.read_text(encoding="utf-8") != card_text(card)
    if other or file.exists():
        raise ValueError(f"{described if other else file} exists already and is kept; choose another folder")

    def label_maps() -> Iterator[LabelMap]:
        for index in tqdm(range(len(dataset)), desc=f"writing {dataset.name}", unit="image", disable=not progress):
            sample = dataset[index]
            path = folder / "images" / subset / f"{sample.id}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as unfinished:
                Image.fromarray(sample.image.permute(1, 2, 0).numpy()).save(unfinished, format="PNG")
            yield LabelMap(f"{sample.id}.png", sample.target, sample.instance)

    WRITERS[format](file, label_maps(), classes)
    with replacing(described) as unfinished:
        unfinished.write_text(card_text(card), encoding="utf-8")
    return card
