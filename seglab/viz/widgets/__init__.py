"""Interactive views. `from seglab.viz.widgets.viewer import view`, and likewise the others.

viewer      `view`: an image and its label maps, in notebooks and in static pages
html        the scripts of the browser side; the viewer as a page, and as a part of other pages
joint       predictions in several class sets, shown in one
sources     what `explore` accepts: data sets and models, by name, as paths or as objects
views       the pure functions behind the explorer
details     the explorer's tabs of scores and of files to save
photographs  those that the explorer was given
still       a picture of a view for notebooks whose kernel is gone
worker      background work: a thread, its progress, cancellation
adding      the explorer's field for a further model
explorer    `explore`: choose image and models
predicted   the page of `seglab predict`
served      the explorer in the browser without a notebook
board       the counts of a comparison, packed for a browser
comparison  `compare_models`: from a number to the images behind it
js/         the browser side
"""
