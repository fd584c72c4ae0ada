"""The command `seglab export`."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from seglab._utils.errors import plain_errors
from seglab._utils.text import echo


def export(
    model: Annotated[str, Argument(help="A model as unet_mini:camvid, or a checkpoint.")],
    to: Annotated[Path, Option(metavar="FILE", help="x.onnx, x.pt2, or x.csv, x.txt, x.json for the classes alone.")],
    precision: Annotated[str, Option(help="float32, or float16 for a file of half the size.")] = "float32",
    size: Annotated[tuple[int, int] | None, Option(help="Height and width of all images; by default any.")] = None,
    argmax: Annotated[bool, Option("--argmax", help="Return a mask at the size of the input, not scores.")] = False,
    force: Annotated[bool, Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a model as a file for other programs: ONNX, or torch.export (.pt2).

    The file holds the classes, their colours, the normalisation, the size of
    the input and the licence as metadata. It is loaded again, and its masks
    are compared with those of the model on five images, before it is kept.
    A Mask2Former is exported for images of one size: --size 192 256.
    The README shows how to run it with ONNX Runtime alone.

    For the classes alone:
    .csv has the columns index, name, r, g, b;
    .txt is the label map of CVAT and Datumaro;
    .json is the id2label of transformers.
    """
    from seglab._utils.download import human
    from seglab.inference.export_files import export as write
    from seglab.models.loading import load_model

    with plain_errors():
        net = load_model(model, device="cpu")
        net.short = size or net.short
        found = write(net, to, precision=precision, argmax=argmax, force=force)
        if found is None:
            echo(f"the {len(net.classes)} classes of {net.label} are in {to}")
        else:
            echo(f"{net.label} is in {to} ({human(to.stat().st_size)}, {precision})")
            echo(
                f"loaded again and compared on {found.images} images: {found.different} of {found.pixels} pixels of"
                " their masks differ"
            )
