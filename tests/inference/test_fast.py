"""The fast path gives the scores of the model: BatchNorm folded, channels last, bfloat16."""

import copy

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.transforms.v2 import functional as F

from seglab._utils.environment import device_of
from seglab.data.classes import CLASS_SETS, ClassSet
from seglab.data.transforms import normalize
from seglab.inference.fast import FastModel, fused, network_size
from seglab.inference.runtimes.session import Session
from seglab.models.adapters import wrap
from seglab.models.loading import load_model
from seglab.models.registry import MODELS

CONVOLUTIONAL = ["lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large"]
CONVOLUTIONAL += [name for name in MODELS if name.endswith("_mini") and not name.startswith(("segf", "mask2"))]
RGB = ClassSet("rgb", ("red", "green", "blue"), ((255, 0, 0), (0, 255, 0), (0, 0, 255)))
MEMBRANE = CLASS_SETS["membrane"]


def randomized(model):
    """Random BatchNorm statistics and scales: the initial ones are nearly the identity, and would hide mistakes."""
    rng = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean.copy_(0.3 * torch.randn(module.num_features, generator=rng))
            module.running_var.copy_(0.3 + torch.rand(module.num_features, generator=rng))
        if isinstance(module, nn.BatchNorm2d) and module.affine:
            module.weight.data.copy_(0.5 + torch.rand(module.num_features, generator=rng))
            module.bias.data.copy_(0.3 * torch.randn(module.num_features, generator=rng))
    return model


def untrained(name, norm=None):
    torch.manual_seed(0)
    return randomized(load_model(name, weights=None, norm=norm, device="cpu"))


def photos(*size, batch=2, seed=0):
    return torch.randint(0, 256, (batch, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def norms(model):
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@torch.inference_mode()
def scores_of(model, images):
    return model(normalize(images))


def assert_close(one, other, tolerance=1e-4):
    """Relative to the range of the expected scores."""
    assert other.std() > 0
    torch.testing.assert_close(one, other, rtol=0, atol=tolerance * float(other.max() - other.min()))


# --- folding BatchNorm --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CONVOLUTIONAL, "segformer_mini", "mask2former_mini"])
def test_fused_gives_the_same_scores(name):
    model = untrained(name)
    folded, images = fused(model), photos(70, 99)
    assert_close(scores_of(folded, images), scores_of(model, images))
    assert_close(FastModel(model)(images), scores_of(model, images))
    if name in CONVOLUTIONAL:
        assert norms(model) > 5
        assert norms(folded) == sum(
            "aux_classifier" in n for n, m in folded.named_modules() if type(m) is nn.BatchNorm2d
        )


def test_folded_by_hand():
    """w' = w · γ/√(σ²+ε), b' = (b − μ) · γ/√(σ²+ε) + β."""
    conv, norm = nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2, eps=0.0)
    for parameter, value in (conv.weight, 1.0), (conv.bias, 4.0), (norm.weight, 6.0), (norm.bias, 5.0):
        nn.init.constant_(parameter, value)
    norm.running_mean.fill_(1.0)
    norm.running_var.fill_(4.0)
    folded = fused(wrap(nn.Sequential(conv, norm), MEMBRANE)).net
    assert (folded[0].weight == 3).all()
    assert (folded[0].bias == (4 - 1) * 3 + 5).all()
    assert isinstance(folded[1], nn.Identity)


class Shared(nn.Module):
    """Two pairs of convolution and BatchNorm, of which the second must not be folded; `case` names the reason."""

    def __init__(self, case):
        super().__init__()
        self.case = case
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.head = nn.Conv2d(4, 2, 1)
        if case == "batch statistics":
            self.norm = nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, x):
        x = self.first(x)
        y = self.conv(x)
        if self.case == "used twice":
            return self.head(self.norm(y) + y)
        if self.case == "changed in place":
            return self.head(self.norm(y.relu_()))
        if self.case == "conv called twice":
            return self.head(self.norm(y) + self.conv(y))
        if self.case == "norm called twice":
            return self.head(self.norm(self.norm(y)))
        if self.case == "large images only" and x.shape[-1] < 80:
            raise ValueError("too small")
        return self.head(self.norm(y))


UNFUSED = {"used twice": 2, "changed in place": 2, "conv called twice": 1, "norm called twice": 1,
           "batch statistics": 1, "large images only": 2, "nothing special": 0}  # fmt: skip


@pytest.mark.parametrize("case", UNFUSED)
def test_what_must_not_be_folded_stays(case):
    """Where the forward pass does not show that a pair must stay, the scores differ, and nothing is folded."""
    torch.manual_seed(0)
    model, images = randomized(wrap(Shared(case), MEMBRANE)), photos(64, 96)
    folded = fused(model)
    assert norms(folded) == UNFUSED[case]
    assert_close(scores_of(folded, images), scores_of(model, images), 1e-5)
    if UNFUSED[case] == 2:
        assert torch.equal(scores_of(folded, images), scores_of(model, images))


@pytest.mark.parametrize("name", ["lraspp_mini", "unet_mini", "fcn_mini"])
def test_group_norm_is_not_folded(name):
    model, images = untrained(name, norm="group"), photos(64, 96)
    assert sum(isinstance(module, nn.GroupNorm) for module in fused(model).modules()) > 5
    assert torch.equal(scores_of(fused(model), images), scores_of(model, images))
    assert_close(FastModel(model)(images), scores_of(model, images))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_given_model_is_left_as_it_is(precision, training):
    model = untrained("fcn_mini").train(training)
    model.net.backbone.eval()
    state, modes = copy.deepcopy(model.state_dict()), [module.training for module in model.modules()]
    layouts = [parameter.stride() for parameter in model.parameters()]
    FastModel(model, precision)(photos(64, 96))
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert [parameter.stride() for parameter in model.parameters()] == layouts
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_random_generator_is_not_advanced():
    model = untrained("lraspp_mini")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    FastModel(model)(photos(64, 96))
    assert torch.equal(torch.rand(3), expected)


# --- from images to the network -----------------------------------------------------------------------------------


class Identity(nn.Module):
    """Scores equal to the input, without weights."""

    def forward(self, x):
        return x


@pytest.mark.parametrize("size", [(64, 96), (51, 73), (1, 1), (97, 64)])
def test_images_are_normalised_to_the_last_bit(size):
    model, images = wrap(Identity(), RGB), photos(*size)
    assert torch.equal(FastModel(model)(images), normalize(images))
    model.short = 40
    resized = F.resize(images, [40], antialias=True)
    assert torch.equal(FastModel(model)(images), normalize(resized))
    assert FastModel(model).size_of(images) == tuple(resized.shape[-2:])
    assert device_of(model) == torch.device("cpu")


@pytest.mark.parametrize("short", [None, 40])
def test_another_runtime_gets_the_same_input_with_channels_first(short):
    class Input(Session):
        def __call__(self, batch):
            assert batch.is_contiguous()
            return batch

        def twin(self):
            return self

    model, images = wrap(Identity(), RGB), photos(51, 73)
    model.short = short
    fast, other = FastModel(model), FastModel(model)
    other.session = Input()
    assert torch.equal(other(images), fast(images))


def test_mean_standard_deviation_and_a_fixed_size_are_those_of_the_model():
    model, images = wrap(Identity(), RGB), photos(51, 73)
    model.mean, model.std, model.short = (0.5, 0.25, 0.0), (0.5, 0.25, 1.0), (32, 48)
    resized = F.resize(images, [32, 48], antialias=True)
    assert torch.equal(FastModel(model)(images), normalize(resized, model.mean, model.std))
    assert torch.equal(FastModel(model)(images), model.preprocess(resized))
    assert model.normalisation == {"mean": [0.5, 0.25, 0.0], "std": [0.5, 0.25, 1.0]}
    assert wrap(Identity(), RGB).normalisation == {}


@settings(max_examples=200)
@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 3000))
def test_sizes_equal_those_of_torchvision(height, width, short):
    assume(max(height, width) <= 40 * min(height, width))
    resized = F.resize(torch.empty(3, height, width, device="meta"), [short])
    assert network_size((height, width), short) == tuple(resized.shape[-2:])
    assert network_size((height, width), None) == (height, width)


def test_inputs_that_are_not_a_batch_of_images():
    fast = FastModel(wrap(Identity(), RGB))
    for wrong in (photos(8, 9).float(), photos(8, 9)[0], photos(8, 9).permute(0, 2, 3, 1)):
        with pytest.raises(ValueError, match=r"expected uint8 images \(B,3,H,W\), found torch"):
            fast(wrong)
    with pytest.raises(ValueError, match="unknown precision 'float16'; did you mean 'bfloat16'"):
        FastModel(wrap(Identity(), RGB), "float16")


# --- bfloat16 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in MODELS if n.endswith("_mini")])
def test_bfloat16_gives_float32_scores_that_are_close(name):
    model, images = untrained(name), photos(64, 96)
    scores, exact = FastModel(model, "bfloat16")(images), FastModel(model)(images)
    assert scores.dtype == exact.dtype == torch.float32
    assert not torch.equal(scores, exact)
    assert_close(scores, exact, 0.1)
