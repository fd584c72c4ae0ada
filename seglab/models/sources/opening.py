"""The table of all sources: which function opens `hf:…`, `smp:…`, and files of other programs."""

from collections.abc import Callable
from pathlib import Path

from seglab.models.adapters import SegModel
from seglab.models.sources.exported import SUFFIXES as EXPORTED
from seglab.models.sources.exported import exported_model
from seglab.models.sources.hf import hf_model
from seglab.models.sources.smp import smp_model
from seglab.models.sources.stated import Stated
from seglab.models.sources.torchscript import SUFFIXES, torchscript_model

PREFIXES: dict[str, Callable[[str, Stated], SegModel]] = {"hf": hf_model, "smp": smp_model}
FILES: dict[str, Callable[[str, Stated], SegModel]] = {
    **dict.fromkeys(SUFFIXES, torchscript_model), **dict.fromkeys(EXPORTED, exported_model),
}  # fmt: skip


def is_source(name: object) -> bool:
    """Whether this names a model from elsewhere: `hf:…`, `smp:…`, or a file of another program."""
    text = str(name)
    return text.startswith(tuple(f"{prefix}:" for prefix in PREFIXES)) or text.endswith(tuple(FILES))


def located(name: str) -> str:
    """The same name with the path of its folder or file from the root; names of repositories are unchanged."""
    prefix, colon, rest = name.partition(":") if name.startswith(tuple(PREFIXES)) else ("", "", name)
    path = Path(rest).expanduser()
    return f"{prefix}{colon}{path.resolve()}" if path.exists() else name


def source_model(name: str, given: Stated) -> SegModel:
    """The model that `is_source` recognises, in `eval()`, on the CPU; see the function of its source."""
    prefix, _, rest = name.partition(":")
    opener = next((FILES[suffix] for suffix in FILES if name.endswith(suffix)), None)
    return PREFIXES[prefix](rest, given) if prefix in PREFIXES else opener(name, given)  # type: ignore[misc]
