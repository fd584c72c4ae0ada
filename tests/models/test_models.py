"""Every row of MODELS keeps the contract, equals its library, and learns."""

import copy
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from seglab.data.classes import CLASS_SETS, class_set_fields, class_set_from
from seglab.data.transforms import IMAGENET_STD
from seglab.models.adapters import SegModel, semantic_scores, upsample, wrap
from seglab.models.checkpoints import save_model
from seglab.models.cost import cost
from seglab.models.loading import load_model
from seglab.models.norms import with_norm
from seglab.models.registry import MODELS
from seglab.models.spec import FAMILIES
from seglab.models.unet import UNet
from seglab.training.losses import cross_entropy

ALL = pytest.mark.parametrize("name", MODELS)
MINIS = [name for name in MODELS if name.endswith("_mini")]
TORCHVISION = [n for n, spec in MODELS.items() if spec.library == "torchvision" and n not in MINIS]
VOID = 255


@pytest.fixture(scope="module")
def made():
    """Untrained models for three classes, each made once; a test that changes one takes a copy."""
    models = {}

    def make(name):
        if name not in models:
            torch.manual_seed(0)
            models[name] = load_model(name, weights=None, classes="membrane", device="cpu")
        return models[name]

    return make


def scene(batch=2, size=64, seed=0):
    """Noise on the left, stripes on the right, labelled 0 and 1: something to learn."""
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(batch, 3, size, size, generator=rng)
    images[..., size // 2 :] = images[..., :1, size // 2 :] + 1
    target = torch.zeros(batch, size, size, dtype=torch.long)
    target[..., size // 2 :] = 1
    target[:, :4] = VOID
    return images, target


def lively(net):
    """Random BatchNorm statistics and a loud head: an untrained model says the same everywhere, and hides mistakes."""
    rng = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(0.1 * torch.randn(module.num_features, generator=rng))
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=rng))
    return net


# --- the table ----------------------------------------------------------------------------------------------------


def test_the_table():
    assert len(MODELS) == 15
    assert len(MINIS) == 6
    for name, spec in MODELS.items():
        assert spec.name == name
        assert spec.family in FAMILIES
        assert spec.year == FAMILIES[spec.family][0]
        assert spec.classes is None or spec.classes in CLASS_SETS


@ALL
def test_the_facts_are_counted(name):
    """Parameters and multiply-adds, with tensors that have a shape and no content."""
    spec = MODELS[name]
    counted = cost(load_model(name, weights=None, classes=spec.classes or "voc", device="cpu").to("meta"), spec.size)
    assert counted.params == spec.params
    assert counted.macs / 1e9 == pytest.approx(spec.gmacs, abs=5.1e-5)


@pytest.mark.parametrize("name", MINIS)
def test_minis_are_small(name):
    assert sum(p.numel() for p in load_model(name, weights=None).parameters()) <= 1.9e6


# --- the contract -------------------------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize("size", [(64, 96), (70, 99)])
def test_contract(made, name, size):
    model = made(name)
    assert not model.training
    assert (model.spec, model.classes) == (MODELS[name], CLASS_SETS["membrane"])
    batch = model.preprocess(torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8))
    with torch.inference_mode():
        scores = model(batch)
    batch_size, classes, height, width = scores.shape
    stride = {"U-Net": 1, "SegFormer": 4, "Mask2Former": 4}.get(
        model.spec.family, 16 if name == "deeplabv3_mobilenet_v3_large" else 8
    )
    assert (batch_size, classes) == (2, 2)
    assert (height, width) == (-(-size[0] // stride), -(-size[1] // stride))
    assert scores.isfinite().all()


@ALL
def test_backbone_and_head_share_all_parameters(made, name):
    model = made(name)
    backbone, head = model.backbone_parameters(), model.head_parameters()
    assert backbone
    assert head
    assert {id(p) for p in backbone} | {id(p) for p in head} == {id(p) for p in model.parameters()}
    assert len(backbone) + len(head) == len(list(model.parameters()))


@ALL
def test_learns_one_batch(made, name):
    """Twenty steps on one batch lower the loss."""
    torch.manual_seed(0)
    model = copy.deepcopy(made(name)).train()
    images, target = scene(size=64 if name in MINIS else 32)
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
def test_a_batch_of_void_teaches_nothing(made, name):
    model = copy.deepcopy(made(name)).train()
    images, target = scene()
    loss = model.loss(images, torch.full_like(target, VOID), cross_entropy)
    loss.backward()
    assert loss.item() == 0
    assert not any(p.grad.any() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", MINIS)
def test_strange_labels_are_named(made, name):
    images, target = scene()
    target[0, 10, 10] = 7
    with pytest.raises(ValueError, match=r"label 7 \(\d+ pixels?\)"):
        made(name).loss(images, target, cross_entropy)


def test_preprocess_is_imagenets(made):
    image = torch.tensor([124, 116, 104], dtype=torch.uint8)[:, None, None].expand(3, 4, 5)  # the mean colour
    batch = made("unet_mini").preprocess(image)
    assert batch.shape == (1, 3, 4, 5)
    assert batch.abs().max() < 0.5 / 255 / min(IMAGENET_STD)
    for wrong in (image.float(), image.permute(1, 2, 0), image[0]):
        with pytest.raises(ValueError, match=r"expected a uint8 image \(3,H,W\)"):
            made("unet_mini").preprocess(wrong)


# --- the libraries say the same -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_says_the_same(made, name):
    model = copy.deepcopy(made(name))
    lively(model.net)
    images = torch.randn(2, 3, 70, 97)
    with torch.inference_mode():
        theirs = model.net(images)["out"]
        scores = model(images)
    assert theirs.std() > 0
    assert torch.equal(F.interpolate(scores, size=(70, 97), mode="bilinear", align_corners=False), theirs)


@pytest.mark.parametrize("name", ["segformer_b0", "segformer_mini"])
def test_segformer_says_the_same(made, name):
    model, images = made(name), torch.randn(2, 3, 70, 97)
    with torch.inference_mode():
        assert torch.equal(model(images), model.net(pixel_values=images).logits)


def test_segformer_loss_is_transformers(made):
    model, (images, target) = made("segformer_mini"), scene()
    with torch.inference_mode():
        torch.testing.assert_close(model.loss(images, target, cross_entropy), model.net(images, labels=target).loss)


def test_mask2former_says_the_same(made):
    """transformers paints at 384×384; with masks of that size its scores and ours are the same."""
    from transformers import Mask2FormerImageProcessor
    from transformers.models.mask2former.modeling_mask2former import Mask2FormerForUniversalSegmentationOutput

    classes, masks = torch.randn(2, 20, 4), torch.randn(2, 20, 384, 384)
    output = Mask2FormerForUniversalSegmentationOutput(class_queries_logits=classes, masks_queries_logits=masks)
    theirs = Mask2FormerImageProcessor().post_process_semantic_segmentation(output)
    assert torch.equal(semantic_scores(classes, masks).argmax(dim=1), torch.stack(theirs))

    model, images = made("mask2former_mini"), torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        raw, scores = model.net(images), model(images)
    by_hand = sum(
        raw.class_queries_logits[:, q].softmax(-1)[:, :-1, None, None] * raw.masks_queries_logits[:, q, None].sigmoid()
        for q in range(20)
    )
    torch.testing.assert_close(scores, by_hand)


def test_mask2former_loss_is_transformers(made):
    """Its loss draws random points, so both draw the same ones."""
    model, (images, target) = made("mask2former_mini"), scene()
    masks = [torch.stack([t == 0, t == 1]).float() for t in target]
    torch.manual_seed(0)
    theirs = model.net(images, mask_labels=masks, class_labels=[torch.tensor([0, 1])] * 2).loss
    torch.manual_seed(0)
    torch.testing.assert_close(model.loss(images, target), theirs)


def test_mask2former_leaves_out_images_without_labels(made):
    model, (images, target) = made("mask2former_mini"), scene()
    target[1] = VOID
    torch.manual_seed(0)
    both = model.loss(images, target)
    torch.manual_seed(0)
    torch.testing.assert_close(both, model.loss(images[:1], target[:1]))


def test_mask2former_matches_in_full_precision(made):
    model, (images, target) = made("mask2former_mini"), scene()
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.loss(images, target)
    assert loss.dtype == torch.float32
    loss.backward()


def test_smp_says_the_same(made):
    model, images = made("unet_resnet34"), torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        assert torch.equal(model(images), model.net(images))
        padded = model.net(F.pad(images[..., :50, :70], (0, 26, 0, 14)))
        assert torch.equal(model(images[..., :50, :70]), padded[..., :50, :70])


# --- auxiliary heads and norms ------------------------------------------------------------------------------------


@ALL
def test_auxiliary_head_counts_half_and_only_in_training(name):
    spec = MODELS[name]
    if not spec.has_aux:
        with pytest.raises(ValueError, match=f"{spec.title} has no auxiliary head"):
            load_model(name, weights=None, aux=True)
        return
    if name not in MINIS:
        return  # the same adapter
    model = load_model(name, weights=None, classes="membrane", device="cpu").train()
    images, target = scene()
    torch.manual_seed(0)
    main, aux = model.heads(images)
    expected = cross_entropy(upsample(main, target), target) + 0.5 * cross_entropy(upsample(aux, target), target)
    torch.manual_seed(0)  # dropout
    torch.testing.assert_close(model.loss(images, target, cross_entropy), expected)
    assert model.eval().heads(images)[1] is None
    assert load_model(name, weights=None, aux=False, device="cpu").train().heads(images)[1] is None


@pytest.mark.parametrize("name", [n for n in MODELS if n.startswith("deeplab")])
def test_deeplab_with_a_batch_of_one(made, name):
    images, target = scene(batch=1)
    model = copy.deepcopy(made(name)).train()
    with pytest.raises(ValueError, match=r"cannot train on a batch of one.*GroupNorm"):
        model.loss(images, target, cross_entropy)
    assert model.eval()(images).isfinite().all()
    loss = with_norm(model, "group").train().loss(images, target, cross_entropy)
    loss.backward()
    assert loss.isfinite()


@pytest.mark.parametrize("name", MODELS)
def test_group_norm_replaces_every_batch_norm(made, name):
    model = copy.deepcopy(made(name))
    batch_norms = {n: m for n, m in model.named_modules() if type(m) is nn.BatchNorm2d}
    for module in batch_norms.values():
        nn.init.normal_(module.weight)
    changed = with_norm(model, "group")
    assert changed is model
    assert changed.norm == "group"
    for path, before in batch_norms.items():
        after = model.get_submodule(path)
        assert isinstance(after, nn.GroupNorm)
        assert torch.equal(after.weight, before.weight)
        assert after.num_channels // after.num_groups >= 4


def test_sync_norm():
    model = load_model("unet_mini", weights=None, norm="sync", device="cpu")
    assert not any(type(m) is nn.BatchNorm2d for m in model.modules())
    assert any(isinstance(m, nn.SyncBatchNorm) for m in model.modules())
    with pytest.raises(ValueError, match="unknown kind of norm 'grup'; did you mean 'group'"):
        with_norm(model, "grup")


@ALL
def test_batch_norm_follows_quickly(made, name):
    """torchvision's MobileNetV3 would keep 99 % of its old averages a step."""
    assert all(m.momentum >= 0.1 for m in made(name).modules() if isinstance(m, nn.BatchNorm2d))


# --- names and checkpoints ----------------------------------------------------------------------------------------


def test_unknown_names():
    with pytest.raises(ValueError, match="unknown model 'unet_mimi'; did you mean 'unet_mini'"):
        load_model("unet_mimi")
    with pytest.raises(ValueError, match=r"unknown weights 'mars' of unet_mini\. Known: .*untrained.*checkpoint"):
        load_model("unet_mini:mars")
    with pytest.raises(ValueError, match="unknown class set 'streets'; did you mean 'street'"):
        load_model("unet_mini", weights=None, classes="streets")
    with pytest.raises(ValueError, match="there is no checkpoint"):
        load_model("nowhere.safetensors")


@pytest.mark.parametrize("name", MINIS)
def test_a_checkpoint_comes_back(made, name, tmp_path):
    model = copy.deepcopy(made(name))
    images, path = torch.randn(1, 3, 64, 96), tmp_path / "model.safetensors"
    save_model(model, path, seed=7)
    for again in (load_model(name, path, device="cpu"), load_model(path, device="cpu")):
        assert again.classes == model.classes
        assert again.spec is MODELS[name]
        with torch.inference_mode():
            assert torch.equal(again(images), model(images))
    with safe_open(path, "pt") as file:
        assert list(file.metadata()) == ["seglab"]
        assert json.loads(file.metadata()["seglab"])["seed"] == 7
        model.net.load_state_dict({k: file.get_tensor(k) for k in file.keys()})  # noqa: SIM118, the library's own keys
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_the_same_weights_are_the_same_bytes(made, tmp_path):
    for i in range(6):
        save_model(made("unet_mini"), tmp_path / f"{i}.safetensors", seed=1, data="toytown", epoch=3)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_a_checkpoint_in_half_precision(made, tmp_path):
    path = tmp_path / "half.safetensors"
    save_model(made("unet_mini"), path, half=True)
    with safe_open(path, "pt") as file:
        kinds = {key: file.get_tensor(key).dtype for key in file.keys()}  # noqa: SIM118
    assert kinds["classifier.weight"] == torch.float16
    assert kinds["encoder.0.1.running_var"] == torch.float32
    assert load_model(path, device="cpu").net.classifier.weight.dtype == torch.float32


def test_a_checkpoint_remembers_norm_and_auxiliary_head(tmp_path):
    path = tmp_path / "fcn.safetensors"
    save_model(load_model("fcn_mini", weights=None, norm="group", device="cpu"), path)
    again = load_model(path, device="cpu")
    assert again.norm == "group"
    assert again.net.aux_classifier is not None
    assert load_model(path, aux=False, device="cpu").net.aux_classifier is None


def test_other_classes_get_a_fresh_head(made, tmp_path):
    path = tmp_path / "unet.safetensors"
    save_model(made("unet_mini"), path)
    model = load_model(path, classes="voc", device="cpu")
    assert len(model.classes) == model.net.classifier.out_channels == 21
    assert torch.equal(model.net.encoder[0][0].weight, made("unet_mini").net.encoder[0][0].weight)


def test_checkpoints_that_do_not_fit(made, tmp_path):
    path = tmp_path / "unet.safetensors"
    save_model(made("unet_mini"), path)
    with pytest.raises(ValueError, match="holds the weights of unet_mini, not of fcn_mini"):
        load_model("fcn_mini", path)
    save_model(
        load_model("unet_mini", weights=None, norm="group", device="cpu"), path
    )  # GroupNorm keeps no running averages
    with pytest.raises(ValueError, match=r"does not fit: \d+ of \d+ tensors of the model are not in it"):
        load_model(path, norm="sync")
    path.write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="is not a checkpoint of seglab"):
        load_model(path)
    for told in ({}, {"seglab": "no JSON"}, {"seglab": '{"model": "unet_mini"}'}):
        save_file({"a": torch.zeros(1)}, path, told)
        with pytest.raises(ValueError, match="is not a checkpoint of seglab"):
            load_model(path)


@pytest.mark.parametrize("name", CLASS_SETS)
def test_class_sets_travel(name):
    classes = CLASS_SETS[name].safe()
    assert class_set_from(json.loads(json.dumps(class_set_fields(classes)))) == classes


# --- one's own ----------------------------------------------------------------------------------------------------


class Boxed(nn.Module):
    """A module that returns what torchvision returns."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        scores = self.head(self.encoder(x))
        return {"out": scores, "aux": scores}


def test_wrap(made):
    images, target = scene()
    model = wrap(UNet(2, width=4), "membrane")
    assert isinstance(model, SegModel)
    assert model.spec.title == "UNet"
    assert torch.equal(model(images), model.net(images))
    with pytest.raises(ValueError, match="the backbone of .* is unknown"):
        model.backbone_parameters()

    boxed = wrap(Boxed(), CLASS_SETS["membrane"], title="Boxed", backbone="encoder")
    assert len(boxed.backbone_parameters()) == 2
    main = cross_entropy(boxed(images), target)
    torch.testing.assert_close(boxed.train().loss(images, target, cross_entropy), 1.5 * main)
    with pytest.raises(ValueError, match=r"expected scores \(2,11,h',w'\) from Boxed, got \(2, 2, 64, 64\)"):
        wrap(Boxed(), "street")(images)
