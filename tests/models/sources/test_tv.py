"""torchvision's weights by their own name."""

import pytest
import torch
from helpers.standins import put_in_cache, train_briefly, use_caches
from torchvision.models import get_weight, segmentation

from seglab import load_model, predict
from seglab.models.sources.tv import model_and_weights


def test_every_name_of_torchvision_is_known():
    names = {"FCN_ResNet50", "FCN_ResNet101", "DeepLabV3_ResNet50", "DeepLabV3_ResNet101",
             "DeepLabV3_MobileNet_V3_Large", "LRASPP_MobileNet_V3_Large"}  # fmt: skip
    found = {model_and_weights(f"{name}_Weights.COCO_WITH_VOC_LABELS_V1") for name in names}
    assert found == {f"{name.lower()}:coco" for name in names}
    assert model_and_weights("FCN_ResNet50_Weights.DEFAULT") == "fcn_resnet50:coco"
    with pytest.raises(ValueError, match="are weights of resnet, not of segmentation"):
        model_and_weights("ResNet50_Weights.DEFAULT")
    with pytest.raises(ValueError, match=r"unknown weights of torchvision 'FCN_ResNet50_Weights\.V9'"):
        load_model("tv:FCN_ResNet50_Weights.V9")


@pytest.mark.slow
def test_masks_equal_those_of_torchvisions_example(tmp_path, monkeypatch):
    """The documented example, on a photograph whose short side is 520, so that nothing is resized."""
    use_caches(tmp_path, monkeypatch)
    trained = train_briefly("lraspp_mobilenet_v3_large", "voc", [0, 7, 15, 20], steps=30)
    put_in_cache("lraspp_mobilenet_v3_large", "coco", trained, monkeypatch)
    weights = get_weight("LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1")
    model = load_model("tv:LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1", device="cpu")
    assert (model.label, model.short) == ("lraspp_mobilenet_v3_large:coco", 520)
    official = segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
    official.load_state_dict(trained.net.state_dict())
    image = torch.randint(0, 256, (3, 520, 560), dtype=torch.uint8)
    with torch.inference_mode():
        expected = official(weights.transforms()(image)[None])["out"].argmax(1)[0]
        scores = model(model.preprocess(image))
        mask = torch.nn.functional.interpolate(scores, (520, 560), mode="bilinear", align_corners=False).argmax(1)[0]
    assert torch.equal(mask, expected)
    assert (predict(model, image).mask != expected).sum() <= expected.numel() / 10_000  # BatchNorm is folded
    assert len(expected.unique()) > 1
