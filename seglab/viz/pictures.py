"""Figures of images, masks, overlays and heat maps. A class has the same colour in every figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from seglab.data.classes import ClassSet
from seglab.data.palette import SAFE_21, hex_colors
from seglab.masks.painting import colorize, outlines, overlay
from seglab.viz.style import ACCENT, DIVERGING, HEAT, SOFT, STYLE, Figure, figure, percent, styled


def describe(mask: ArrayLike | Tensor, classes: ClassSet, most: int = 6) -> str:
    """What a mask shows, in words: `"road 31 %, building 28 %, sky 13 %, void 2 %"`."""
    counts = np.bincount(np.asarray(mask, np.uint8).ravel(), minlength=256)
    total = max(int(counts.sum()), 1)
    labels = [int(k) for k in np.argsort(-counts, kind="stable") if counts[k]]
    names = {k: "void" if k == classes.ignore_index else classes.names[k] for k in labels}
    said = [f"{names[k]} {percent(counts[k] / total)}" for k in labels[:most]]
    return ", ".join(said + (["…"] if len(labels) > most else []))


def _hwc(image: Any) -> NDArray[Any]:
    """An image in either layout, or a plane of values, as matplotlib wants it."""
    array = np.asarray(image)
    return array.transpose(1, 2, 0) if array.ndim == 3 and array.shape[0] == 3 and array.shape[-1] != 3 else array


def bare_axes(ax: Axes, title: str = "") -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_title(title)


@styled
def side_by_side(
    images: Sequence[Any] | Mapping[str, Any], columns: int = 0, alt: str = "", width: float = 9.5
) -> Figure:
    """Pictures side by side.

    Args:
        images: uint8 (3, H, W) or (H, W, 3) each; a mapping gives their titles.
        columns: at most so many in a row; by default all, up to four.
        alt: what there is to see; by default the titles.
    """
    titles = list(images) if isinstance(images, Mapping) else [""] * len(images)
    shown = [_hwc(i) for i in (images.values() if isinstance(images, Mapping) else images)]
    if not shown:
        raise ValueError("no pictures to show")
    columns = columns or min(len(shown), 4)
    rows = -(-len(shown) // columns)
    ratio = shown[0].shape[0] / shown[0].shape[1]
    height = rows * (width / columns * ratio + (0.25 if any(titles) else 0.05))
    fig, axes = figure(
        width, height, alt or "; ".join(t for t in titles if t), nrows=rows, ncols=columns, squeeze=False
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image, title in zip(axes.flat, shown, titles, strict=False):
        ax.set_axis_on()
        ax.imshow(image)
        bare_axes(ax, title)
    return fig


@styled
def image_and_mask(
    image: Any, mask: Any, classes: ClassSet, title: str = "", alpha: float = 0.6, width: float = 9.5
) -> Figure:
    """An image, its mask and both together, with a legend of the classes that occur."""
    painted = overlay(np.ascontiguousarray(_hwc(image)), np.asarray(mask), classes, alpha)
    shown = {title or "image": image, "mask": colorize(np.asarray(mask), classes), "overlay": painted}
    alt = f"{title or 'An image'}, its mask and both together: {describe(mask, classes)}."
    fig = side_by_side(shown, alt=alt, width=width)
    legend(fig, classes, mask)
    return fig


def legend(fig: Figure, classes: ClassSet, *masks: Any, columns: int = 6) -> None:
    """Add the names and colours of the classes that occur in the masks below a figure."""
    found = np.unique(np.concatenate([np.asarray(m, np.uint8).ravel() for m in masks]))
    handles = [_patch(classes, int(k)) for k in found]
    fig.set_figheight(fig.get_figheight() + 0.22 * -(-len(handles) // columns))
    with mpl.rc_context(STYLE):
        fig.legend(handles=handles, loc="outside lower center", ncols=min(columns, len(handles)), handlelength=1.2)


def _patch(classes: ClassSet, k: int) -> Patch:
    void = k == classes.ignore_index
    hatching = ("", "--", "||", "//", "\\\\", "++", "xx", "-|")
    return Patch(
        facecolor=classes.palette[k] / 255,
        edgecolor=SOFT,
        linewidth=0.5,
        hatch=hatching[classes.hatches[k] % 8] if classes.hatches and not void else None,
        label="void" if void else classes.names[k],
    )


def binary_colors(mask: ArrayLike | Tensor, color: str = ACCENT) -> NDArray[np.uint8]:
    """A yes/no map as a picture, uint8 (H, W, 3): what is True in one colour, the rest light grey."""
    yes = np.asarray(mask).astype(bool)[..., None]
    return np.where(yes, np.array(hex_colors(color.lstrip("#"))[0], np.uint8), np.uint8(236))


def soft_colors(share: ArrayLike | Tensor, color: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A soft mask as a picture, uint8 (H, W, 3): from light grey where it is 0 to the colour where it is 1."""
    part = np.asarray(share, np.float64).clip(0, 1)[..., None]
    return np.rint(236 + (np.array(color) - 236) * part).astype(np.uint8)


def instance_colors(instance: ArrayLike | Tensor) -> NDArray[np.uint8]:
    """Object numbers as colours, uint8 (H, W, 3): each object its own, what is no object light grey."""
    numbers = np.asarray(instance).astype(np.int64)
    rgb = np.array(SAFE_21, np.uint8)[(numbers - 1) % len(SAFE_21)]
    rgb[numbers == 0] = 236
    return rgb


def panoptic_colors(mask: ArrayLike | Tensor, instance: ArrayLike | Tensor, classes: ClassSet) -> NDArray[np.uint8]:
    """Classes as colours and objects as shades of them, with a white line around each object. uint8 (H, W, 3)."""
    labels, numbers = np.asarray(mask), np.asarray(instance).astype(np.int32)
    rgb = colorize(labels, classes).astype(np.float64)
    light = np.where(numbers > 0, (numbers * 5 % 8) / 8 - 0.35, 0)[..., None]  # neighbours in number differ much
    rgb = np.where(light > 0, rgb + (255 - rgb) * light, rgb * (1 + light))
    rgb[outlines(numbers) & (numbers > 0)] = 255
    return rgb.astype(np.uint8)


def label_colors(mask: ArrayLike | Tensor, classes: ClassSet) -> NDArray[np.uint8]:
    """Like `colorize`, for masks that are broken: labels that no class has become white. uint8 (H, W, 3)."""
    labels = np.asarray(mask).astype(np.uint8)
    rgb = classes.palette[labels]
    rgb[(labels >= len(classes)) & (labels != classes.ignore_index)] = 255
    return rgb


@styled
def spotlights(
    image: Any, maps: Mapping[str, tuple[ArrayLike | Tensor, tuple[int, int] | None]], columns: int = 0,
    width: float = 9.5,
) -> Figure:  # fmt: skip
    """An image, lit where a map is high: where a place looks, or what reaches it.

    Args:
        image: uint8 (3, H, W) or (H, W, 3).
        maps: title → float (h, w) ≥ 0, of any size, brightest where it is highest; and the pixel (row, column) that it
            belongs to, which gets a ring, or None.
        columns: at most so many in a row; by default all, up to four.
    """
    pixels = _hwc(image).astype(np.float64)
    dark = 0.25 * pixels.mean(axis=-1, keepdims=True)
    lit, said = {}, []
    for title, (values, _) in maps.items():
        light = np.asarray(values, np.float64) / max(float(np.max(np.asarray(values))), 1e-12)
        y, x = (np.arange(n) * m // n for n, m in zip(pixels.shape[:2], light.shape, strict=True))
        spot = light[y][:, x, None]
        lit[title] = (dark + (pixels - dark) * spot).astype(np.uint8)
        bright = percent(float((light > 0.5).mean()))
        said.append(f"{title}: {bright} of the picture at least half as bright as its peak")
    fig = side_by_side(lit, columns, f"An image, lit where a map is high. {'; '.join(said)}.", width)
    for ax, (_, place) in zip(fig.axes, maps.values(), strict=False):
        if place is not None:
            ax.plot(place[1], place[0], "o", ms=9, mfc="none", mec="white", mew=3.4)
            ax.plot(place[1], place[0], "o", ms=9, mfc="none", mec=ACCENT, mew=1.8)
    return fig


@styled
def heat_maps(
    maps: Mapping[str, ArrayLike | Tensor], columns: int = 0, limits: tuple[float, float] | None = None,
    diverging: bool = False, unit: str = "", width: float = 9.5,
) -> Figure:  # fmt: skip
    """Planes of values with one common colour scale.

    Args:
        maps: title → float (H, W).
        limits: lowest and highest value of the scale; by default those of the data.
        diverging: for values around 0; the scale is then symmetric.
        unit: label of the scale.
    """
    planes = {title: np.asarray(m, np.float64) for title, m in maps.items()}
    low, high = limits or (min(np.nanmin(p) for p in planes.values()), max(np.nanmax(p) for p in planes.values()))
    if diverging:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    columns = columns or min(len(planes), 4)
    rows = -(-len(planes) // columns)
    first = next(iter(planes.values()))
    alt = f"{unit or 'values'}: " + "; ".join(
        f"{t} from {np.nanmin(p):.2g} to {np.nanmax(p):.2g}, mean {np.nanmean(p):.2g}" for t, p in planes.items()
    )
    height = rows * (width / columns * first.shape[0] / first.shape[1] * 0.93 + 0.25)
    fig, axes = figure(width, height, alt, nrows=rows, ncols=columns, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (title, plane) in zip(axes.flat, planes.items(), strict=False):
        ax.set_axis_on()
        drawn = ax.imshow(plane, cmap=DIVERGING if diverging else HEAT, vmin=low, vmax=high)
        bare_axes(ax, title)
    bar = fig.colorbar(drawn, ax=axes, shrink=0.8, pad=0.01, aspect=24)
    bar.outline.set_visible(False)
    bar.set_label(unit)
    return fig
