"""Other runtimes than torch for the forward pass on a CPU: the same graph, computed faster.

session            what each runtime provides; the graphs of a model, in the cache of this machine
onnx_runtime       ONNX Runtime
open_vino          OpenVINO
choice             which runtimes are there, which agree with torch, and which is the fastest
"""
