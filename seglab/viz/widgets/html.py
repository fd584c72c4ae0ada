"""The viewer of label maps: `viewer.js` as a widget, as a page of its own, and as a part of other pages.

view(image, {"U-Net": mask, "FCN": other}, classes, target)            in a notebook
Path("street.html").write_text(view(…).to_html())                      for a browser, without kernel or network
"""

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parent / "js" / "viewer.js"
SCENE = "seglab-scene"  # class of the places that the script fills


def fragment(data: Mapping[str, Any], state: Mapping[str, Any] | None = None) -> str:
    """A place in a page, which the viewer's script fills. Whatever names hold, they are only text."""
    told = json.dumps({"data": data, "state": state or {}}).replace("<", "\\u003c")
    return f'<div class="{SCENE}"><script type="application/json">{told}</script></div>'


def document(title: str, body: str, style: str) -> str:
    """A page that needs nothing else: what it may do (Content-Security-Policy) is to run one script, the viewer's.

    Args:
        title: as text.
        body, style: as HTML and CSS; a body without scenes brings no script, and may run none.
    """
    script = _source() if f'class="{SCENE}"' in body else ""
    mark = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _DOCUMENT.format(
        title=html.escape(title), body=body, style=style, runs=f"'sha256-{mark}'" if script else "'none'",
        script=f'<script type="module">{script}</script>' if script else "",
    )  # fmt: skip


def _source() -> str:
    source = SCRIPT.read_text(encoding="utf-8") + _FILL
    if "</script" in source:
        raise AssertionError("viewer.js must not end its own script element")
    return source


_FILL = """
document.documentElement.classList.add("live"); // there is more than still pictures to see
for (const place of document.querySelectorAll(".seglab-scene")) {
  const { data, state } = JSON.parse(place.querySelector("script").textContent);
  mount(place, data, state);
}
"""

PAGE_STYLE = """
body { margin: 1rem; max-width: 75rem; }
@media (prefers-color-scheme: dark) { body { background: #161b20; } }
"""
_DOCUMENT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {runs}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
{script}
</body>
</html>
"""
