"""The values of masks, counted."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from seglab.data.formats.raw import Source, load
from seglab.data.labels import color_codes

_PIXELS = 100_000_000  # masks are read up to this number of pixels, and at most _MASKS of them
_MASKS = 200


@dataclass
class Values:
    """The values of masks, counted.

    Attributes:
        numbers, colors: raw value, colour 0xRRGGBB → pixels.
        lossy: files whose values were changed by lossy compression.
        instances: masks whose values run from 1 to n, each one connected region.
        read, total: masks that were read, and all.
    """

    numbers: Counter[int] = field(default_factory=Counter)
    colors: Counter[int] = field(default_factory=Counter)
    lossy: int = 0
    instances: list[int] = field(default_factory=list)
    read: int = 0
    total: int = 0

    @property
    def gray(self) -> bool:
        """Whether all colours are grey, so that three channels hold one value."""
        return all(code == (code & 255) * 0x010101 for code in self.colors)

    def resolved(self) -> "Values":
        """The same with grey colours as numbers."""
        if not self.colors or not self.gray:
            return self
        numbers = self.numbers + Counter({code & 255: n for code, n in self.colors.items()})
        return replace(self, numbers=numbers, colors=Counter())


def count(sources: Sequence[Source | Callable[[], tuple[NDArray[Any], bool]]]) -> Values:
    """Count the values of masks, or of functions that load them: of all, or of 200 that are spread evenly."""
    values = Values(total=len(sources))
    for source in sources[:: -(-len(sources) // _MASKS) or 1]:
        if sum(values.numbers.values()) + sum(values.colors.values()) > _PIXELS:
            break
        add(values, *(source() if callable(source) else load(source)))
    return values.resolved()


def add(values: Values, array: NDArray[Any], lossy: bool = False) -> None:
    """Count the values of one mask."""
    counter = values.colors if array.ndim == 3 else values.numbers
    codes = color_codes(array) if array.ndim == 3 else array
    found: Any = pd.Series(codes.ravel()).value_counts()  # three times faster than numpy.unique
    counter.update({int(value): int(n) for value, n in found.items()})
    values.lossy += lossy
    values.read += 1
    numbers = sorted(int(value) for value in found.index if value > 0)
    if array.ndim == 2 and len(numbers) >= 10 and numbers == list(range(1, len(numbers) + 1)):
        from scipy.ndimage import label

        if all(label(array == number)[1] == 1 for number in numbers):
            values.instances.append(len(numbers))
