"""The study of skip connections and dilation: equal starts, a short training, a complete table."""

import fcn_backbone as study
import pandas as pd
import pytest
import torch

from seglab import load_model
from seglab.course.studies import results_dir


@torch.inference_mode()
def test_both_versions_start_from_the_same_features():
    backbones = [load_model("fcn_mini:toytown", device="cpu").net.backbone for _ in range(2)]
    dilated, fcn8s = (cls(b).eval() for cls, b in zip((study.Dilated, study.FCN8s), backbones, strict=True))
    images = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    features = dilated.backbone(images)["out"]
    maps = fcn8s.backbone(images)
    assert {stride: tuple(x.shape) for stride, x in maps.items()} == {
        "8": (1, 128, 8, 12), "16": (1, 256, 4, 6), "32": (1, 256, 2, 3)}  # fmt: skip
    torch.testing.assert_close(maps["32"], features[:, :, ::4, ::4], atol=1e-4, rtol=0)
    assert dilated(images).shape == fcn8s(images).shape == (1, study.K, 8, 12)
    small = torch.nn.functional.interpolate(fcn8s.score32(maps["32"]), (4, 6), mode="bilinear")
    expected = torch.nn.functional.interpolate(small, (8, 12), mode="bilinear")
    torch.testing.assert_close(fcn8s(images), expected)  # the skip connections add nothing yet


@pytest.mark.slow
def test_backbone_and_score_layers_are_trained():
    before = load_model("fcn_mini:toytown", device="cpu").net.backbone.state_dict()
    net = study.trained("FCN-8s", seed=0, steps=1)
    after = net.backbone.state_dict()
    assert not torch.equal(after["layer4.0.conv2.weight"], before["layer4.0.conv2.weight"])
    assert net.score8.weight.abs().max() > 0
    assert not net.training


def test_every_run_is_stored():
    runs = pd.read_csv(results_dir() / "fcn_backbone.csv")
    assert set(zip(runs["version"], runs["seed"], strict=True)) == {(v, s) for v in study.VERSIONS for s in range(3)}
    assert (runs["steps"] == study.STEPS).all()
    assert runs.groupby("version")["miou"].max()["FCN-8s"] < runs.groupby("version")["miou"].min()["dilated"]
