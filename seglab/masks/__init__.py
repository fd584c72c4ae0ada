"""From scores to masks, and from masks to pictures.

Torch tensors, NumPy arrays and TensorFlow tensors go in and come out as what they were; channels may lie anywhere.
Masks hold class indices as uint8; 255 is void.

argmax    scores → mask, exact at any size
painting  mask → colours, overlays, outlines
arrays    torch, NumPy and TensorFlow, in and out
"""

from seglab.data.translation import translation_table
from seglab.masks.argmax import binary_mask, to_mask
from seglab.masks.painting import colorize, label_map, outlines, overlay

__all__ = ["binary_mask", "colorize", "label_map", "outlines", "overlay", "to_mask", "translation_table"]
