"""From scores to masks, and from masks to images.

Each function takes torch tensors, NumPy arrays or TensorFlow tensors and returns the same kind. A mask (label map)
is an integer array (H, W) or (B, H, W) of class indices 0–253; 255 is void. Masks made here are uint8.

argmax    scores → mask at any size; one class of a mask
painting  mask → colours, overlay, outlines
arrays    conversion between torch, NumPy and TensorFlow
"""

from seglab.data.translation import translation_table
from seglab.masks.argmax import binary_mask, to_mask
from seglab.masks.painting import colorize, label_map, outlines, overlay

__all__ = ["binary_mask", "colorize", "label_map", "outlines", "overlay", "to_mask", "translation_table"]
