"""Figures of images, masks, overlays and heat maps. A class has one colour in all figures. Widths are in inches."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from seglab.data.classes import ClassSet
from seglab.data.palette import SAFE_21, hex_colors
from seglab.masks.painting import colorize, outlines, overlay
from seglab.viz.style import ACCENT, DIVERGING, HEAT, SOFT, Figure, figure, percent, styled

GREY = 236  # background of masks, as red = green = blue
HATCHES = "--", "||", "//", "\\\\", "--||", "//\\\\", "--//"  # patterns 1–7 of `palette.hatch` in matplotlib's notation


def describe(mask: ArrayLike | Tensor, classes: ClassSet, most: int = 6) -> str:
    """The largest classes of a mask (H, W) in words: `"road 31 %, building 28 %, sky 13 %, void 2 %"`."""
    counts = np.bincount(np.asarray(mask, np.uint8).ravel(), minlength=256)
    labels = [int(k) for k in np.argsort(-counts, kind="stable") if counts[k]]
    names = dict(enumerate(classes.names)) | {classes.ignore_index: "void"}
    parts = [f"{names[k]} {percent(counts[k] / counts.sum())}" for k in labels[:most]]
    return ", ".join(parts + (["…"] if len(labels) > most else []))


def bare_axes(ax: Axes, title: str = "") -> None:
    """Remove ticks and frame, set the title."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.set_title(title)


def value_range(
    planes: Collection[NDArray[Any]], limits: tuple[float, float] | None, diverging: bool
) -> tuple[float, float]:
    """The range of a common colour scale: `limits` or the range of the data; symmetric around 0 if `diverging`."""
    low, high = limits or (min(np.nanmin(p) for p in planes), max(np.nanmax(p) for p in planes))
    largest = max(abs(low), abs(high))
    return (-largest, largest) if diverging else (low, high)


@styled
def side_by_side(
    images: Sequence[Any] | Mapping[str, Any], columns: int = 0, alt: str = "", width: float = 9.5
) -> Figure:
    """Images side by side.

    Args:
        images: uint8 (3, H, W) or (H, W, 3) each; a mapping gives their titles.
        columns: largest number of images in a row; by default all, up to four.
        alt: alternative text; by default the titles.

    Raises:
        ValueError: no images.
    """
    if not len(images):
        raise ValueError("no images to show; give at least one")
    titled = list(images.items()) if isinstance(images, Mapping) else [("", image) for image in images]
    return _panels(titled, columns, alt or "; ".join(title for title, _ in titled if title), width)


def _panels(
    titled: Sequence[tuple[str, Any]], columns: int, alt: str, width: float, part: float = 1, **imshow: Any
) -> Figure:
    """One panel for each image or plane; together they take the fraction `part` of the width."""
    images = [_hwc(image) for _, image in titled]
    columns = columns or min(len(images), 4)
    rows = -(-len(images) // columns)
    ratio = images[0].shape[0] / images[0].shape[1] * part
    height = rows * (width / columns * ratio + (0.25 if any(title for title, _ in titled) else 0.05))
    fig, axes = figure(width, height, alt, nrows=rows, ncols=columns, squeeze=False)
    for ax in axes.flat[len(images) :]:
        ax.set_axis_off()
    for ax, image, (title, _) in zip(axes.flat, images, titled, strict=False):
        ax.imshow(image, **imshow)
        bare_axes(ax, title)
    return fig


def _hwc(image: Any) -> NDArray[Any]:
    """An image in either layout, or a plane of values, as matplotlib expects it."""
    array = np.asarray(image)
    return array.transpose(1, 2, 0) if array.ndim == 3 and array.shape[0] == 3 and array.shape[-1] != 3 else array


@styled
def image_and_mask(
    image: Any, mask: Any, classes: ClassSet, title: str = "", alpha: float = 0.6, width: float = 9.5
) -> Figure:
    """An image, uint8 (3, H, W) or (H, W, 3), its mask, integer (H, W), and the overlay of both, with a legend."""
    labels = np.asarray(mask)
    blended = overlay(np.ascontiguousarray(_hwc(image)), labels, classes, alpha)
    images = {title or "image": image, "mask": colorize(labels, classes), "overlay": blended}
    alt = f"{title or 'An image'}, its mask and the overlay of both: {describe(labels, classes)}."
    fig = side_by_side(images, alt=alt, width=width)
    legend(fig, classes, labels)
    return fig


@styled
def legend(fig: Figure, classes: ClassSet, *masks: Any, columns: int = 6) -> None:
    """Add a legend of the classes that occur in the masks, integer (H, W) each, below a figure."""
    names, handles = dict(enumerate(classes.names)) | {classes.ignore_index: "void"}, []
    for k in np.unique(np.concatenate([np.asarray(m, np.uint8).ravel() for m in masks])):
        index = classes.hatches[k] if classes.hatches and k != classes.ignore_index else 0
        hatch = HATCHES[(index - 1) % len(HATCHES)][:: 2 if index > len(HATCHES) else 1] if index else None
        color = classes.palette[k] / 255
        handles.append(Patch(facecolor=color, edgecolor=SOFT, linewidth=0.5, hatch=hatch, label=names[int(k)]))
    fig.set_figheight(fig.get_figheight() + 0.22 * -(-len(handles) // columns))
    fig.legend(handles=handles, loc="outside lower center", ncols=min(columns, len(handles)), handlelength=1.2)


def binary_colors(mask: ArrayLike | Tensor, color: str = ACCENT) -> NDArray[np.uint8]:
    """A boolean mask (H, W) as an image, uint8 (H, W, 3): True in one colour (#rrggbb), False light grey."""
    return soft_colors(np.asarray(mask).astype(bool), hex_colors(color.lstrip("#"))[0])


def soft_colors(mask: ArrayLike | Tensor, color: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A soft mask (H, W) in [0, 1] as an image, uint8 (H, W, 3): from light grey at 0 to the colour (RGB) at 1."""
    weight = np.asarray(mask, np.float64).clip(0, 1)[..., None]
    return np.rint(GREY + (np.array(color) - GREY) * weight).astype(np.uint8)


def instance_colors(instance: ArrayLike | Tensor) -> NDArray[np.uint8]:
    """Instance ids (H, W) as an image, uint8 (H, W, 3): one colour for each instance, light grey for 0 (none)."""
    ids = np.asarray(instance).astype(np.int64)
    rgb = np.array(SAFE_21, np.uint8)[(ids - 1) % len(SAFE_21)]
    rgb[ids == 0] = GREY
    return rgb


def panoptic_colors(mask: ArrayLike | Tensor, instance: ArrayLike | Tensor, classes: ClassSet) -> NDArray[np.uint8]:
    """Classes as colours, instances as shades of them with a white outline. (H, W) each → uint8 (H, W, 3)."""
    labels, ids = np.asarray(mask), np.asarray(instance).astype(np.int32)
    rgb = colorize(labels, classes).astype(np.float64)
    shade = np.where(ids > 0, (ids * 5 % 8) / 8 - 0.35, 0)[..., None]  # consecutive ids differ much
    rgb = np.where(shade > 0, rgb + (255 - rgb) * shade, rgb * (1 + shade))
    rgb[outlines(ids) & (ids > 0)] = 255
    return rgb.astype(np.uint8)


def label_colors(mask: ArrayLike | Tensor, classes: ClassSet) -> NDArray[np.uint8]:
    """Like `colorize`, for invalid masks: labels outside the class set become white. (H, W) → uint8 (H, W, 3)."""
    labels = np.asarray(mask).astype(np.uint8)
    rgb = classes.palette[labels]
    rgb[(labels >= len(classes)) & (labels != classes.ignore_index)] = 255
    return rgb


@styled
def spotlights(
    image: Any, maps: Mapping[str, tuple[ArrayLike | Tensor, tuple[int, int] | None]], columns: int = 0,
    width: float = 9.5,
) -> Figure:  # fmt: skip
    """An image multiplied by maps of weights, such as attention weights or the influence on one pixel.

    Args:
        image: uint8 (3, H, W) or (H, W, 3).
        maps: title → (weights, pixel): float (h, w) ≥ 0 of any size, and the pixel (row, column) to which they belong,
            which is marked by a ring, or None.
    """
    pixels = _hwc(image).astype(np.float64)
    dark = 0.25 * pixels.mean(axis=-1, keepdims=True)
    lit, parts = {}, []
    for title, (values, _) in maps.items():
        weights = np.asarray(values, np.float64)
        weights = weights / max(float(weights.max()), 1e-12)
        y, x = (np.arange(n) * m // n for n, m in zip(pixels.shape[:2], weights.shape, strict=True))
        lit[title] = (dark + (pixels - dark) * weights[y][:, x, None]).astype(np.uint8)
        parts.append(f"{title}: {percent(float((weights > 0.5).mean()))} of the weights exceed half of the largest")
    fig = side_by_side(lit, columns, f"An image, brighter where the weights are higher. {'; '.join(parts)}.", width)
    for ax, (_, pixel) in zip(fig.axes, maps.values(), strict=False):
        if pixel is not None:
            for color, thickness in (("white", 3.4), (ACCENT, 1.8)):
                ax.plot(pixel[1], pixel[0], "o", ms=9, mfc="none", mec=color, mew=thickness)
    return fig


@styled
def heat_maps(
    maps: Mapping[str, ArrayLike | Tensor], columns: int = 0, limits: tuple[float, float] | None = None,
    diverging: bool = False, unit: str = "", width: float = 9.5,
) -> Figure:  # fmt: skip
    """Maps of values, title → float (H, W), on one colour scale, labelled with `unit`.

    The limits of the scale are by default those of the data; `diverging`, for values around 0, makes them symmetric.
    """
    planes = {title: np.asarray(m, np.float64) for title, m in maps.items()}
    low, high = value_range(planes.values(), limits, diverging)
    parts = [f"{t} from {np.nanmin(p):.2g} to {np.nanmax(p):.2g}, mean {np.nanmean(p):.2g}" for t, p in planes.items()]
    alt, cmap = f"{unit or 'values'}: {'; '.join(parts)}", DIVERGING if diverging else HEAT
    fig = _panels(list(planes.items()), columns, alt, width, 0.93, cmap=cmap, vmin=low, vmax=high)
    bar = fig.colorbar(fig.axes[0].images[0], ax=fig.axes, label=unit, shrink=0.8, pad=0.01, aspect=24)
    bar.outline.set_visible(False)
    return fig
