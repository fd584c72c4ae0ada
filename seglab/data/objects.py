"""The width of the objects in a label map, from which `seglab train` sees whether they survive resizing."""

import numpy as np
from scipy.ndimage import distance_transform_cdt, maximum_filter, minimum_filter
from torch import Tensor

from seglab.data.classes import IGNORE_INDEX

SMALLEST = 9  # pixels; smaller objects are taken for noise of the labels


def object_widths(target: Tensor) -> dict[int, float]:
    """The width in pixels of the median object of each class in a target uint8 (H,W): class index → width.

    An object is a connected region of one class (8 neighbours). In a strip of width w, the distance of a pixel to the
    nearest one outside is (w + 2) / 4 on average; so an object's width is 4 · (mean distance − ½). Distances are
    counted in steps to one of 8 neighbours. The result is exact for strips of an even width, 1/w more for an odd one,
    and up to 30 % less for diagonal strips; two thirds of its side for a square. The border of the image is not the
    end of an object. A target of one class has no width.
    """
    from skimage.measure import label

    labels = target.numpy()
    edge = maximum_filter(labels, 3) != minimum_filter(labels, 3)  # a neighbour has another label
    if not edge.any():
        return {}
    regions = label(labels, background=IGNORE_INDEX, connectivity=2).ravel()
    distances = distance_transform_cdt(~edge, "chessboard").ravel() + 1.0
    pixels, classes = np.bincount(regions), np.zeros(regions.max() + 1, int)
    classes[regions] = labels.ravel()
    widths = 4 * (np.bincount(regions, distances) / np.maximum(pixels, 1) - 0.5)
    kept = (pixels >= SMALLEST) & (np.arange(len(pixels)) > 0)  # region 0 is void
    return {int(c): float(np.median(widths[kept & (classes == c)])) for c in np.unique(classes[kept])}
