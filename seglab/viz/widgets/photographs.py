"""The photographs of the explorer: given as paths, or sent by the browser. None is written to disk."""

from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path

from seglab.data.dataset import Sample
from seglab.data.images import Picture
from seglab.viz.widgets import views

Read = tuple[Sample, str]  # a photograph, and what has to be said about its size


class Photographs:
    """Photographs by their file names, each with at most `views.MOST_PIXELS`; a path is read when it is first shown."""

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        self._entries: dict[str, Callable[[], Read]] = {p.name: cache(partial(_read, p.name, p)) for p in paths}

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def names(self) -> list[str]:
        """The file names, in the order in which the photographs came."""
        return list(self._entries)

    def add(self, name: str, content: bytes) -> None:
        """Read the bytes of a file and append it; one of the same name is replaced. ValueError: it cannot be read."""
        found = _read(name, content)
        self._entries.pop(name, None)
        self._entries[name] = lambda: found

    def __getitem__(self, name: str) -> Read:
        return self._entries[name]()


def _read(name: str, photo: Picture) -> Read:
    try:
        image, note = views.downsized(photo)
    except ValueError as error:
        raise ValueError(str(error).replace("the image" if isinstance(photo, bytes) else str(photo), name, 1)) from None
    return Sample(image, None, name, name), note  # type: ignore[arg-type]
