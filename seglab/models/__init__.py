"""Models: the table of all, the builders of their networks, and one interface for all of them.

spec           `ModelSpec` and `Weights`: the row types of `MODELS`
adapters       `SegModel`: one interface for the models of every library; `wrap`
norms          BatchNorm replaced by GroupNorm or SyncBatchNorm, or adapted to other images
unet           U-Net
architectures  the builders of all other networks
registry       the table `MODELS`
checkpoints    weights on disk
loading        `load_model`
cost           parameters, multiply-accumulates, memory
anatomy        blocks, activations, receptive fields
sources/       models from elsewhere: transformers, smp, torchvision, TorchScript
weights/       published weights, the bundled zoo, model cards, offline bundles
"""
