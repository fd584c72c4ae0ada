"""Files of TorchScript, traced and scripted, of trained minis and of networks that take few sizes."""

import warnings

import pytest
import torch
from torch import nn

from seglab import evaluate, load_dataset, load_model, predict
from seglab.data.transforms import IMAGENET_MEAN, IMAGENET_STD

COLORS = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD, "device": "cpu"}


def traced(net, path, size=(64, 64)):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(net.eval(), torch.zeros(1, 3, *size), strict=False).save(path)
    return path


class Strided(nn.Module):
    """Scores of two classes at stride 4, only for sides that are multiples of 8."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 4, stride=4)

    def forward(self, x):
        if x.shape[-1] % 8 or x.shape[-2] % 8:
            raise ValueError("8")
        return self.conv(x)


class OneSize(nn.Module):
    """Scores of two classes, only for images of 32×48."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(2, 32, 48))

    def forward(self, x):
        return x.mean(1, keepdim=True) * self.weight


@pytest.mark.slow
def test_counts_of_a_traced_mini_equal_those_of_the_mini(tmp_path):
    mini, scenes = load_model("lraspp_mini:toytown", device="cpu"), load_dataset("toytown", "test").subset(range(3))
    path = traced(mini.net, tmp_path / "mine.pt", (192, 256))
    model = load_model(path, classes="street", size=192, **COLORS)
    assert (model.label, model.facts["stride"]) == ("mine.pt", 1)
    results = evaluate([model, mini], scenes, progress=False)
    one, other = (results.measurements.table(run) for run in results.identities)
    assert abs(one - other).sum() <= 14  # of 147,000 pixels: BatchNorm is folded in the mini only
    assert (one.sum(axis=1) > 0).all()


def test_possible_sizes_are_found_by_trying(tmp_path):
    torch.jit.script(Strided()).save(tmp_path / "strided.ts")
    model = load_model(tmp_path / "strided.ts", classes="background,cell", size="original", **COLORS)
    assert (model.spec.divisor, model.facts["stride"]) == (8, 4)
    assert predict(model, torch.zeros(3, 33, 50, dtype=torch.uint8)).mask.shape == (33, 50)
    torch.jit.script(OneSize()).save(tmp_path / "one.ts")
    given = {"classes": "background,cell", **COLORS}
    model = load_model(tmp_path / "one.ts", size="32x48", **given)
    assert (model.short, model.facts["stride"]) == ((32, 48), 1)
    assert predict(model, torch.zeros(3, 70, 70, dtype=torch.uint8)).tiles[0].scores.shape == (2, 32, 48)
    with pytest.raises(ValueError, match=r"gives no scores.*images of 64×64 pixels"):
        load_model(tmp_path / "one.ts", size=64, **given)


def test_everything_has_to_be_given_and_pickles_are_not_opened(tmp_path):
    path = traced(nn.Conv2d(3, 2, 1), tmp_path / "mine.pt")
    with pytest.raises(ValueError, match=r"mine\.pt does not state its classes, size, mean, std") as caught:
        load_model(path)
    assert "--classes voc" in str(caught.value)
    for given, problem in (
        ({"classes": "voc", "size": 64}, r"does not state its mean, std; "),
        ({"classes": "street2"}, "unknown class set 'street2'"),
        ({"size": "64x"}, "expected the short side in pixels"),
        ({"std": (1, 1, 0)}, "expected a number for each of the channels"),
    ):
        with pytest.raises(ValueError, match=problem):
            load_model(path, **given)
    torch.save(nn.Conv2d(3, 2, 1), tmp_path / "pickle.pt")
    with pytest.raises(ValueError, match="is no program of TorchScript"):
        load_model(tmp_path / "pickle.pt", classes="pets", size=64, **COLORS)
    with pytest.raises(ValueError, match="there is no file"):
        load_model(tmp_path / "none.ts", classes="pets", size=64, **COLORS)
    with pytest.raises(ValueError, match="states its own size and normalisation"):
        load_model("unet_mini:toytown", size=64)
