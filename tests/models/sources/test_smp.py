"""Models of segmentation_models_pytorch: checkpoints that its own `save_pretrained` writes, and its own `predict`."""

import json

import pytest
import segmentation_models_pytorch as smp
import torch

from seglab import evaluate, load_dataset, load_model
from seglab.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from seglab.metrics.confusion import confusion_matrix

LITE0, HALF = "tu-tf_efficientnet_lite0", (0.5, 0.5, 0.5)
STATED = {"classes": "sky,road,tree", "size": 64, "mean": HALF, "std": HALF, "device": "cpu"}


def images(*shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_scores_are_those_of_smp(tmp_path):
    torch.manual_seed(0)
    for build, divisor in ((smp.Unet, 1), (smp.DeepLabV3Plus, 16), (smp.Linknet, 32)):
        net = build("resnet18", encoder_weights=None, classes=3, activation="softmax2d")
        net.save_pretrained(tmp_path / build.__name__)
        model = load_model(f"smp:{tmp_path / build.__name__}", **STATED)
        assert (model.label, model.facts["stride"]) == (f"smp:{build.__name__}", 1)
        assert model.spec.divisor == divisor
        batch = model.preprocess(images(2, 3, 64, 96))
        assert torch.equal(net.predict(batch), model(batch).softmax(1).detach())  # smp saves its activation, too


def test_counts_of_trained_weights_equal_those_of_smps_predict(tmp_path):
    """U-Net of the bundled `unet_lite`, whose encoder takes (x − 127) / 128, on three scenes."""
    bundled = load_model("unet_lite:photographs", device="cpu")
    net = smp.Unet(LITE0, encoder_weights=None, classes=7, decoder_channels=(160, 80, 48, 24, 16),
                   decoder_interpolation="bilinear")  # fmt: skip
    net.load_state_dict(bundled.net.state_dict())
    net.save_pretrained(tmp_path / "lite")
    mean, std = (127 / 255,) * 3, (128 / 255,) * 3
    model = load_model(f"smp:{tmp_path / 'lite'}", classes="photographs", size=192, mean=mean, std=std, device="cpu")
    scenes = load_dataset("toytown", "test").subset(range(3))  # 192×256, so that nothing is resized
    results = evaluate(model, scenes, mapping={"person": "pedestrian"}, progress=False)
    official = torch.zeros(7, 11, dtype=torch.int64)
    for sample in scenes:
        mask = net.predict((sample.image[None].float() / 255 - mean[0]) / std[0]).argmax(1)[0]
        pairs = confusion_matrix(mask, sample.target, 11)
        official += pairs.T[:7]
    counts = results.counts.groupby(["pred", "target"])["pixels"].sum()
    names, streets = model.classes.names, scenes.classes.names
    ours = torch.tensor([[int(counts.get((a, b), 0)) for b in streets] for a in names])
    assert ours.sum() == official.sum() > 0
    assert (ours - official).abs().sum() <= 14  # folded BatchNorm: a few pixels of 147,000
    assert (official.sum(1) > 0).sum() >= 3


def test_one_logit_is_enough_for_two_classes(tmp_path):
    torch.manual_seed(0)
    net = smp.FPN("resnet18", encoder_weights=None, classes=1).eval()
    net.save_pretrained(tmp_path / "one")
    model = load_model(f"smp:{tmp_path / 'one'}", **STATED | {"classes": "background,cell"})
    batch = model.preprocess(images(1, 3, 64, 64))
    with torch.inference_mode():
        assert torch.equal(model(batch).argmax(1), (net(batch)[:, 0] > 0).long())
    assert model.classes.background == 0


def test_normalisation_is_that_of_the_encoders_weights(tmp_path):
    net = smp.Unet(LITE0, encoder_weights=None, classes=3)
    net.save_pretrained(tmp_path / "mine")
    config = tmp_path / "mine" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"encoder_weights": "imagenet"}))
    model = load_model(f"smp:{tmp_path / 'mine'}", classes="sky,road,tree", size="original", device="cpu")
    assert (model.mean, model.std, model.short) == (HALF, HALF, None)  # timm's table, which smp reads
    assert (model.mean, model.std) != (IMAGENET_MEAN, IMAGENET_STD)


def test_what_is_missing_or_wrong_is_said_in_one_sentence(tmp_path):
    smp.Unet("resnet18", encoder_weights=None, classes=3).save_pretrained(tmp_path / "mine")
    name, config = f"smp:{tmp_path / 'mine'}", tmp_path / "mine" / "config.json"
    with pytest.raises(ValueError, match="does not state its classes, size, mean, std"):
        load_model(name)
    with pytest.raises(ValueError, match=r"gives no scores \(B,K,h',w'\) for its 2 classes"):
        load_model(name, **STATED | {"classes": "sky,road"})
    for changes, problem in (
        ({"_model_class": "Segformer2"}, "is no model of segmentation_models_pytorch"),
        ({"_model_class": "datasets"}, "is no model of segmentation_models_pytorch"),
        ({"in_channels": 4}, "takes images of 4 channels"),
        ({"encoder_name": "resnet34"}, "segmentation_models_pytorch cannot load it"),
    ):
        before = config.read_text()
        config.write_text(json.dumps(json.loads(before) | changes))
        with pytest.raises(ValueError, match=problem):
            load_model(name, **STATED)
        config.write_text(before)
