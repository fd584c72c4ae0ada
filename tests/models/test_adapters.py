"""Every model of `MODELS` has the common form, equals its library's own model, and learns."""

import copy

import pytest
import torch
from helpers.batches import VOID, half_striped, random_statistics
from torch import nn
from torch.nn import functional as F

from seglab.data.classes import CLASS_SETS
from seglab.data.transforms import IMAGENET_STD
from seglab.models.adapters import SegModel, semantic_scores, upsample, wrap
from seglab.models.loading import load_model
from seglab.models.norms import with_norm
from seglab.models.registry import MODELS
from seglab.models.unet import UNet
from seglab.training.losses import cross_entropy

ALL = pytest.mark.parametrize("name", MODELS)
MINIS = [name for name in MODELS if name.endswith("_mini")]
TORCHVISION = [n for n, spec in MODELS.items() if spec.library == "torchvision" and n not in MINIS]


@pytest.mark.slow
@ALL
@pytest.mark.parametrize("size", [(64, 96), (70, 99)])
def test_preprocess_and_scores_have_the_common_form(untrained, name, size):
    model = untrained(name)
    assert not model.training
    assert (model.spec, model.classes) == (MODELS[name], CLASS_SETS["membrane"])
    batch = model.preprocess(torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8))
    with torch.inference_mode():
        scores = model(batch)
    batch_size, classes, height, width = scores.shape
    stride = {"U-Net": 1, "SegFormer": 4, "Mask2Former": 4, "DeepLabV3+": 4}.get(
        model.spec.family, 16 if name == "deeplabv3_mobilenet_v3_large" else 8
    )
    assert (batch_size, classes) == (2, 2)
    assert (height, width) == (-(-size[0] // stride), -(-size[1] // stride))
    assert scores.isfinite().all()


@ALL
def test_backbone_and_head_contain_all_parameters(untrained, name):
    model = untrained(name)
    backbone, head = model.backbone_parameters(), model.head_parameters()
    assert backbone
    assert head
    assert {id(p) for p in backbone} | {id(p) for p in head} == {id(p) for p in model.parameters()}
    assert len(backbone) + len(head) == len(list(model.parameters()))


@pytest.mark.slow
@ALL
def test_learns_one_batch(untrained, name):
    """Twenty steps on one batch lower the loss."""
    torch.manual_seed(0)
    model = copy.deepcopy(untrained(name)).train()
    images, target = half_striped(size=64 if name in MINIS else 32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4)
    losses = []
    for _ in range(20):
        loss = model.loss(images, target, cross_entropy)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3]), losses


@pytest.mark.parametrize("name", MINIS)
def test_a_batch_of_void_has_no_loss_and_no_gradient(untrained, name):
    model = copy.deepcopy(untrained(name)).train()
    images, target = half_striped()
    loss = model.loss(images, torch.full_like(target, VOID), cross_entropy)
    loss.backward()
    assert loss.item() == 0
    assert not any(p.grad.any() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", MINIS)
def test_labels_outside_the_class_set_are_refused(untrained, name):
    images, target = half_striped()
    target[0, 10, 10] = 7
    with pytest.raises(ValueError, match=r"label 7 \(\d+ pixels?\)"):
        untrained(name).loss(images, target, cross_entropy)


def test_preprocess_normalises_as_imagenet(untrained):
    image = torch.tensor([124, 116, 104], dtype=torch.uint8)[:, None, None].expand(3, 4, 5)  # the mean colour
    batch = untrained("unet_mini").preprocess(image)
    assert batch.shape == (1, 3, 4, 5)
    assert batch.abs().max() < 0.5 / 255 / min(IMAGENET_STD)
    for wrong in (image.float(), image.permute(1, 2, 0), image[0]):
        with pytest.raises(ValueError, match=r"expected a uint8 image \(3,H,W\)"):
            untrained("unet_mini").preprocess(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCHVISION)
def test_scores_equal_those_of_torchvision(untrained, name):
    model = copy.deepcopy(untrained(name))
    random_statistics(model.net)
    images = torch.randn(2, 3, 70, 97)
    with torch.inference_mode():
        theirs = model.net(images)["out"]
        scores = model(images)
    assert theirs.std() > 0
    assert torch.equal(F.interpolate(scores, size=(70, 97), mode="bilinear", align_corners=False), theirs)


@pytest.mark.parametrize("name", ["segformer_b0", "segformer_mini"])
def test_scores_equal_those_of_segformer(untrained, name):
    model, images = untrained(name), torch.randn(2, 3, 70, 97)
    with torch.inference_mode():
        assert torch.equal(model(images), model.net(pixel_values=images).logits)


def test_the_loss_of_segformer_equals_that_of_transformers(untrained):
    model, (images, target) = untrained("segformer_mini"), half_striped()
    with torch.inference_mode():
        torch.testing.assert_close(model.loss(images, target, cross_entropy), model.net(images, labels=target).loss)


def test_scores_of_mask2former_equal_those_of_transformers(untrained):
    """transformers interpolates masks to 384×384; for masks of that size its predictions equal ours."""
    from transformers import Mask2FormerImageProcessor
    from transformers.models.mask2former.modeling_mask2former import Mask2FormerForUniversalSegmentationOutput

    classes, masks = torch.randn(2, 20, 4), torch.randn(2, 20, 384, 384)
    output = Mask2FormerForUniversalSegmentationOutput(class_queries_logits=classes, masks_queries_logits=masks)
    theirs = Mask2FormerImageProcessor().post_process_semantic_segmentation(output)
    assert torch.equal(semantic_scores(classes, masks).argmax(dim=1), torch.stack(theirs))

    model, images = untrained("mask2former_mini"), torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        raw, scores = model.net(images), model(images)
    by_hand = sum(
        raw.class_queries_logits[:, q].softmax(-1)[:, :-1, None, None] * raw.masks_queries_logits[:, q, None].sigmoid()
        for q in range(20)
    )
    torch.testing.assert_close(scores, by_hand)


def test_the_loss_of_mask2former_equals_that_of_transformers(untrained):
    """The loss samples random points, so both start from the same seed."""
    model, (images, target) = untrained("mask2former_mini"), half_striped()
    masks = [torch.stack([t == 0, t == 1]).float() for t in target]
    torch.manual_seed(0)
    theirs = model.net(images, mask_labels=masks, class_labels=[torch.tensor([0, 1])] * 2).loss
    torch.manual_seed(0)
    torch.testing.assert_close(model.loss(images, target), theirs)


def test_the_loss_of_mask2former_leaves_out_unlabelled_images(untrained):
    model, (images, target) = untrained("mask2former_mini"), half_striped()
    target[1] = VOID
    torch.manual_seed(0)
    both = model.loss(images, target)
    torch.manual_seed(0)
    torch.testing.assert_close(both, model.loss(images[:1], target[:1]))


def test_the_loss_of_mask2former_is_float32_under_autocast(untrained):
    model, (images, target) = untrained("mask2former_mini"), half_striped()
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.loss(images, target)
    assert loss.dtype == torch.float32
    loss.backward()


def test_scores_equal_those_of_smp(untrained):
    model, images = untrained("unet_resnet34"), torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        assert torch.equal(model(images), model.net(images))
        padded = model.net(F.pad(images[..., :50, :70], (0, 26, 0, 14)))
        assert torch.equal(model(images[..., :50, :70]), padded[..., :50, :70])


@pytest.mark.parametrize("name", [name for name in MINIS if MODELS[name].has_aux])
def test_the_auxiliary_head_has_half_the_weight_and_only_in_training(name):
    model = load_model(name, weights=None, classes="membrane", device="cpu").train()
    images, target = half_striped()
    torch.manual_seed(0)
    main, aux = model.heads(images)
    expected = cross_entropy(upsample(main, target), target) + 0.5 * cross_entropy(upsample(aux, target), target)
    torch.manual_seed(0)  # dropout
    torch.testing.assert_close(model.loss(images, target, cross_entropy), expected)
    assert model.eval().heads(images)[1] is None
    assert load_model(name, weights=None, aux=False, device="cpu").train().heads(images)[1] is None


@pytest.mark.parametrize("name", [n for n in MODELS if n.startswith("deeplab")])
def test_deeplab_with_a_batch_of_one(untrained, name):
    images, target = half_striped(batch=1)
    model = copy.deepcopy(untrained(name)).train()
    with pytest.raises(ValueError, match=r"cannot train on a batch of one.*GroupNorm"):
        model.loss(images, target, cross_entropy)
    assert model.eval()(images).isfinite().all()
    loss = with_norm(model, "group").train().loss(images, target, cross_entropy)
    loss.backward()
    assert loss.isfinite()


class Boxed(nn.Module):
    """A module that returns a dict, as those of torchvision do."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        scores = self.head(self.encoder(x))
        return {"out": scores, "aux": scores}


def test_wrap():
    images, target = half_striped()
    model = wrap(UNet(2, width=4), "membrane")
    assert isinstance(model, SegModel)
    assert model.spec.title == "UNet"
    assert torch.equal(model(images), model.net(images))
    with pytest.raises(ValueError, match="the backbone of UNet is unknown"):
        model.backbone_parameters()

    boxed = wrap(Boxed(), CLASS_SETS["membrane"], title="Boxed", backbone="encoder")
    assert len(boxed.backbone_parameters()) == 2
    main = cross_entropy(boxed(images), target)
    torch.testing.assert_close(boxed.train().loss(images, target, cross_entropy), 1.5 * main)
    with pytest.raises(ValueError, match=r"expected scores \(2,11,h',w'\) from Boxed, got \(2, 2, 64, 64\)"):
        wrap(Boxed(), "street")(images)
