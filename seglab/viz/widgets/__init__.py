"""Interactive views. `from seglab.viz.widgets.viewer import view`, and likewise the others.

viewer      `view`: an image and its label maps, in notebooks and in static pages
html        the viewer as a page of its own, and as part of other pages
views       the pure functions behind the explorer
explorer    `explore`: choose image and models
comparison  `compare_models`: from a number to the images behind it
js/         the browser side
"""
