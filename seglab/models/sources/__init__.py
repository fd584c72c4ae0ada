"""Models from elsewhere, in the form of a `SegModel`.

stated       what is known about such a model: classes, size, normalisation; what has to be given
hub          files of a repository of Hugging Face, or of a folder
hf           transformers
smp          segmentation_models_pytorch
tv           torchvision
torchscript  files of TorchScript
exported     files of ONNX and torch.export
probing      output stride and possible input sizes, by forward passes
opening      the table of all sources
"""
