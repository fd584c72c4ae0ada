"""The interactive parts, behind one door.

view(image, {"U-Net": mask, "FCN": other}, classes, target)    a scene: models side by side, a probe, a brush
explore()                                                      choose image and models, and look
compare_models(results, dataset)                               from a number in a table to the images behind it
"""

from seglab.explorer import Explorer, explore
from seglab.linked import Comparison, compare_models
from seglab.viewer import Viewer, view

__all__ = ["Comparison", "Explorer", "Viewer", "compare_models", "explore", "view"]
