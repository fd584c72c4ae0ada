"""From an image to scores and a mask.

fast        `FastModel`: fused BatchNorm, channels last, bfloat16
tiles       overlapping tiles of large images
prediction  `predict`, `Prediction`
folder      many photographs, each with its mask, overlay and table
"""
