"""A picture of an interactive view for notebooks whose kernel is gone, and for exports."""

import html
from threading import Thread
from typing import Any

import ipywidgets as widgets
from IPython.display import display, publish_display_data

from seglab.viz.widgets.viewer import Viewer

VIEW = "application/vnd.jupyter.widget-view+json"
STILL = "seglab_still"  # key in the metadata of the output with the picture
GONE = "The kernel of this view is gone: run this cell again."
PATIENCE = 2.0  # seconds that a cell waits: in a run without a reader, the kernel ends with the last cell
# Of the view: it hides the picture, and is itself seen once ipywidgets marks it as disconnected.
LIVE = """<style>.{id}, .seglab-live:not(.jupyter-widgets-disconnected) {{ display: none !important; }}</style>
<div style="line-height: 1.4; padding: .3rem .6rem; border-left: 4px solid #d1495b; color: var(--jp-ui-font-color1)">
{gone}</div>"""
# Of the picture: JupyterLab shows an error in place of a view without a kernel.
PICTURE = """<div class="seglab-still {id}"><style>.jp-OutputArea-child:has(+ .jp-OutputArea-child .seglab-still)
> .jp-OutputArea-output.jupyter-widgets:not(:has(*)) {{ display: none; }}</style>
<p>{gone} Until then, this is a picture of it.</p>
<img style="max-width: 100%" width="{width}" alt="{alt}" src="data:image/png;base64,{png}"></div>"""


class Kept(widgets.Box):
    """A box with a `viewer`. Its output is followed by a picture, which is seen only where there is no live view.

    Attributes:
        kept: whether there is a picture.
    """

    viewer: Viewer
    children: Any
    kept = True

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the picture can be made, at most for this time; whether it can. For work in the background."""
        return True

    def _ipython_display_(self, **_: Any) -> None:
        name = f"seglab-{self.model_id}"
        children: tuple[widgets.Widget, ...] = self.children
        if not any(isinstance(child, widgets.HTML) and name in child.value for child in children):
            live = widgets.HTML(LIVE.format(id=name, gone=GONE), layout=widgets.Layout(width="100%")).add_class(
                "seglab-live"
            )
            self.children = (live, *children)
        shown = super()._repr_mimebundle_()
        publish_display_data({VIEW: (shown[0] if isinstance(shown, tuple) else shown)[VIEW], "text/plain": ""})
        if self.kept:
            empty = {"text/html": f'<div class="seglab-still {name}">{GONE}</div>', "text/plain": GONE}
            handle = display(empty, raw=True, display_id=True, metadata={STILL: True})
            if self.wait(PATIENCE):
                self._draw_still(name, handle)
            else:
                Thread(target=self._draw_still, args=(name, handle), daemon=True).start()

    def _draw_still(self, name: str, handle: Any) -> None:
        self.wait()
        data, about = self.viewer.figure()._repr_mimebundle_()
        alt, width = html.escape(about["image/png"]["alt"], quote=True), about["image/png"]["width"]
        text = PICTURE.format(id=name, gone=GONE, alt=alt, width=width, png=data["image/png"])
        handle.update({"text/html": text, "text/plain": GONE}, raw=True, metadata={STILL: True})
