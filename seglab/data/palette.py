"""Colours for classes: the VOC palette, and palettes for colour-vision deficiency (CVD), which one man in twelve has.

`simulate_cvd` shows colours as a dichromat sees them (Machado, Oliveira and Fernandes 2009, severity 1.0).
`min_distance` is the smallest CIEDE2000 distance between two colours of a palette: 1 is just noticeable, 10 is clear
at a glance. `SAFE_11` and `SAFE_21` were found by maximising that distance.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

from seglab._utils.errors import unknown

Color = tuple[int, int, int]  # red, green, blue, 0–255

# Machado et al. 2009, table 1: linear RGB → linear RGB as a dichromat sees it.
_CVD_MATRICES = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}  # fmt: skip
VISIONS = ("normal", *_CVD_MATRICES)


def hex_colors(text: str) -> tuple[Color, ...]:
    """`"ff0000 00ff00"` → `((255, 0, 0), (0, 255, 0))`."""
    return tuple((int(h[:2], 16), int(h[2:4], 16), int(h[4:], 16)) for h in text.split())


def voc_colors(count: int) -> tuple[Color, ...]:
    """The first `count` (at most 256) colours of the PASCAL VOC palette, all different.

    The VOC devkit distributes the bits of the class index in turn to red, green and blue, from their highest bit down.
    """

    def spread(index: int, channel: int) -> int:
        return sum(((index >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(8))

    return tuple((spread(i, 0), spread(i, 1), spread(i, 2)) for i in range(count))


# Over all four kinds of vision, `min_distance` is 19 for SAFE_11 and 11 for SAFE_21. SAFE_11 is in the order of the
# street classes: sky is light blue, trees are green, signs yellow.
SAFE_11 = hex_colors("a8e0fc 705470 fce0c4 8c8c8c c470fc 387000 e0fc00 381c00 0000fc 54a800 001c54")
SAFE_21 = hex_colors(
    "383838 a8fce0 380054 1c7000 a88cfc fcfc38 707070 701ce0 8ca8a8 fcc4fc 38c454"
    " 8c3870 008ca8 e0fca8 8c7054 708c00 0000a8 a8a88c 8c54fc 540000 385438"
)


def simulate_cvd(rgb: NDArray[np.uint8], vision: str) -> NDArray[np.uint8]:
    """Colours or an image as seen with a kind of vision from `VISIONS`: sRGB uint8 (…, 3) → sRGB uint8 (…, 3)."""
    if vision not in VISIONS:
        raise unknown("kind of vision", vision, VISIONS)
    if vision == "normal":
        return rgb
    c = np.asarray(rgb, np.float64) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1
    seen = np.clip(linear @ np.array(_CVD_MATRICES[vision]).T, 0, 1)
    srgb = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    return np.rint(srgb * 255).astype(np.uint8)


def min_distance(colors: Sequence[Color], vision: str = "normal") -> float:
    """CIEDE2000 distance of the two closest colours, as seen with this vision; 0 where two are equal."""
    lab = rgb2lab(simulate_cvd(np.array(colors, np.uint8), vision)[None])[0]
    i, j = np.triu_indices(len(lab), k=1)
    return float(deltaE_ciede2000(lab[i], lab[j]).min())


def hatch(index: int, size: tuple[int, int], period: int = 8) -> NDArray[np.bool_]:
    """Stripe pattern for classes of equal colour: bool (H, W), True on a stripe.

    Index 0 has no stripes; 1–4 are horizontal, vertical and the two diagonals; 5–7 cross two of them; higher indices
    repeat these, each time with twice the period (in pixels).
    """
    if index == 0:
        return np.zeros(size, bool)
    doublings, kind = divmod(index - 1, 7)
    period <<= doublings
    y, x = np.ogrid[: size[0], : size[1]]
    stripes = [(axis % period) < period // 4 for axis in (y + 0 * x, x + 0 * y, x + y, x - y)]
    crossed = [stripes[0] | stripes[1], stripes[2] | stripes[3], stripes[0] | stripes[2]]
    return (stripes + crossed)[kind]
