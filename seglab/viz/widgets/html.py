"""The browser side of the views: scripts joined from the modules in `js/`, and static pages that hold a viewer."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from seglab.data.palette import hatch

FOLDER = Path(__file__).parent / "js"
SCENE = "seglab-scene"  # class of the elements that the script fills with a viewer
PAGE_STYLE = "body { margin: 1rem; max-width: 75rem; }"


@cache
def script(name: str) -> str:
    """`js/NAME.js` and every module that it imports, as one script without imports: for anywidget and for pages.

    The modules have no two top-level names in common. The exports of `NAME` itself are kept.
    """
    parts: dict[str, str] = {}

    def add(module: str) -> None:
        if module in parts:
            return
        parts[module] = ""  # its position, before that of its imports is decided
        text = _stripes() if module == "stripes" else (FOLDER / f"{module}.js").read_text(encoding="utf-8")
        for imported in re.findall(r'^import .* from "\./(\w+)\.js";', text, re.MULTILINE):
            add(imported)
        text = re.sub(r"^import .*\n", "", text, flags=re.MULTILINE)
        del parts[module]
        parts[module] = text if module == name else re.sub(r"^export (?!default)", "", text, flags=re.MULTILINE)

    add(name)
    joined = "\n".join(parts.values())
    if "</script" in joined:
        raise AssertionError(f"{name}.js must not end the script element of a page")
    return joined


def _stripes() -> str:
    """The patterns of `hatch` with periods of 8, 16 and 32 pixels as a module: rows of digits, 1 on a stripe."""
    patterns = []
    for index in range(22):
        side = 8 << max(0, index - 1) // 7
        patterns.append(["".join(map(str, row)) for row in hatch(index, (side, side)).astype(int)])
    return f"export const STRIPES = {json.dumps(patterns)};\n"


def fragment(
    data: Mapping[str, Any], state: Mapping[str, Any] | None = None, scenes: Mapping[int, Any] | None = None
) -> str:
    """A part of a page that the script fills: with a `Viewer` of these data and state, or with a board.

    The data of a board are those of `board.tables`; `scenes` are the data of a viewer by the index of an image. Names
    in `data` are never read as HTML.
    """
    parts: list[tuple[str, Mapping[str, Any]]] = [("", {"data": data, "state": state or {}})]
    parts += [(f' data-image="{index}"', scene) for index, scene in (scenes or {}).items()]
    scripts = (f'<script type="application/json"{mark}>{_inert(part)}</script>' for mark, part in parts)
    return f'<div class="{SCENE}">{"".join(scripts)}</div>'


def _inert(data: Any) -> str:
    """JSON without the character that begins a tag."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def document(title: str, body: str, style: str = PAGE_STYLE, kind: str = "seglab-page") -> str:
    """A page without other files, from text, HTML, CSS and the class of its body; "seglab-page" has a viewer's colours.

    Its Content-Security-Policy allows the viewer's script, by its hash; without a `fragment` there is no script.
    """
    code = script("page") if f'class="{SCENE}"' in body else ""
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    return Template((FOLDER / "page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(title), body=body, style=style, kind=kind,
        allowed=f"'sha256-{digest}'" if code else "'none'",
        script=f'<script type="module">{code}</script>' if code else "",
    )  # fmt: skip
