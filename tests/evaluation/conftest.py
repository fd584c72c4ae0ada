"""Trained models, a folder of images and label maps of another program, for tests of `evaluate`."""

import pytest
import torch
from helpers.evaluation import NAMES, fast_masks, town
from PIL import Image

from seglab import load_dataset, load_model
from seglab.training.loop import fit
from seglab.training.recipe import Recipe


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """The plain loops use one thread, as does each image that is evaluated."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Checkpoints of briefly trained models: name → path. Their input size is 96×128."""
    paths = {}
    for name, steps in zip(NAMES, (48, 24), strict=True):
        torch.manual_seed(0)
        folder = tmp_path_factory.mktemp(name)
        recipe = Recipe(epochs=1, batch=4, size=(96, 128))
        scenes = load_dataset("toytown", "train", size=(96, 128)).subset(range(4 * steps))
        fit(load_model(name, weights=None, device="cpu"), scenes, town(2), recipe, folder, progress=False)
        paths[name] = folder / "best.safetensors"
    return paths


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Scenes as image files in a folder."""
    root = tmp_path_factory.mktemp("folder")
    for kind in ("images", "masks"):
        (root / kind).mkdir()
    for sample in (town()[i] for i in range(len(town()))):
        Image.fromarray(sample.image.permute(1, 2, 0).numpy()).save(root / "images" / f"{sample.id}.png")
        Image.fromarray(sample.target.numpy()).save(root / "masks" / f"{sample.id}.png")
    return root


@pytest.fixture
def label_maps(tmp_path, trained):
    """A model's predictions as label maps that another program could have written."""
    target = tmp_path / "their masks"
    target.mkdir()
    for name, mask in zip(town().ids, fast_masks(load_model(trained["unet_mini"], device="cpu"), town()), strict=True):
        Image.fromarray(mask).save(target / f"{name}.png")
    return target
