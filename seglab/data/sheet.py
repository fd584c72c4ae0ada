"""A contact sheet of a data set: images beside the same images with their classes in colour, and a legend."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from seglab._utils.paths import replacing
from seglab.data.dataset import Sample, SegmentationDataset

_WIDTH, _HEIGHT, _GAP, _LINE = 240, 180, 6, 14  # of a picture, between pictures, of a line of text


def contact_sheet(dataset: SegmentationDataset, images: int = 12, alpha: float = 0.6) -> Image.Image:
    """Evenly spaced images of a data set in two columns of pairs, RGB.

    Args:
        images: at most so many; those that cannot be read are left out.
        alpha: opacity of the class colours.
    """
    indices = np.linspace(0, len(dataset) - 1, min(images, len(dataset))).round().astype(int)
    samples = []
    for index in indices:
        try:
            samples.append(dataset[int(index)])
        except (ValueError, OSError):
            continue
    entries = [*zip(dataset.classes.names, dataset.classes.colors, strict=True), ("void", dataset.classes.void_color)]
    rows, columns = -(-len(samples) // 2), 4
    width = columns * (_WIDTH + _GAP) + _GAP
    legend_rows = -(-len(entries) // columns)
    height = rows * (_HEIGHT + _LINE + _GAP) + _GAP + legend_rows * _LINE + _GAP
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for position, sample in enumerate(samples):
        left = (position % 2) * 2 * (_WIDTH + _GAP) + _GAP
        top = position // 2 * (_HEIGHT + _LINE + _GAP) + _GAP
        draw.text((left, top), _printable(sample.id), fill="black")
        for k, picture in enumerate(_pictures(sample, dataset, alpha)):
            sheet.paste(picture, (left + k * (_WIDTH + _GAP), top + _LINE))
    for position, (name, color) in enumerate(entries):
        left = position % columns * (_WIDTH + _GAP) + _GAP
        top = height - (legend_rows - position // columns) * _LINE - _GAP
        draw.rectangle((left, top + 2, left + 10, top + 12), fill=color, outline="black")
        draw.text((left + 16, top), _printable(name), fill="black")
    return sheet


def write_sheet(path: Path, dataset: SegmentationDataset) -> None:
    """Write the contact sheet as an image file; a ValueError for a suffix that Pillow cannot write."""
    try:
        kind = Image.registered_extensions()[path.suffix.lower()]
        with replacing(path) as unfinished:
            contact_sheet(dataset).save(unfinished, format=kind)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path}: the contact sheet cannot be written ({error}); choose a name such as sheet.png"
        ) from error


def _pictures(sample: Sample, dataset: SegmentationDataset, alpha: float) -> tuple[Image.Image, Image.Image]:
    """The image, and the image with its classes, both within the size of a picture."""
    image = Image.fromarray(sample.image.permute(1, 2, 0).numpy())
    colors = Image.fromarray(dataset.classes.palette[sample.target.numpy()])
    overlay = Image.blend(image, colors, alpha)
    for picture in (image, overlay):
        picture.thumbnail((_WIDTH, _HEIGHT))
    return image, overlay


def _printable(text: str) -> str:
    """At most 38 characters; those that the built-in font lacks become "?"."""
    return text.encode("latin-1", "replace").decode("latin-1")[-38:]
