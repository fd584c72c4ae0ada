"""From an image to scores and a mask.

fast        `FastModel`: folded BatchNorm, channels last, bfloat16; or another runtime
runtimes/   ONNX Runtime and OpenVINO, and the choice of the fastest
tiles       overlapping tiles of large images
prediction  `predict`, `Prediction`
large       mask, table and overlay of a photograph of any size
export      a model as an ONNX graph
folder      many photographs: a mask and an overlay for each, and one table
export_files  files of ONNX and torch.export, compared with their model; files of classes
command     `seglab export`
"""
