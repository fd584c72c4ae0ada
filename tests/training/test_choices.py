"""The recipe that `seglab train` chooses for your own data, on checks of data that are written by hand."""

import pandas as pd
import pytest

from seglab.data.checking import WIDTHS, DataCheck
from seglab.training.choices import choose
from seglab.training.recipe import Recipe


def found(pixels, sizes, widths=()):
    """What the check of a data set found: class → pixels, (H, W) → images, rows (class, width, rows, columns)."""
    classes = pd.DataFrame({"pixels": pixels | {"void": 0}})
    return DataCheck(classes, {}, (), (), sizes, pd.DataFrame(list(widths), columns=WIDTHS))


EVEN = {"background": 600, "leaf": 400}


def test_ten_images_get_a_thousand_updates():
    chosen = choose(found(EVEN, {(600, 800): 8}), 8, 2, {})
    assert chosen.recipe == Recipe(repeats=50)  # 20 epochs · 8 images · 50 crops / 8 = 1,000 updates
    assert chosen.val_images == 2
    assert "epochs: 20, each with 50 crops of each of 8 images, which makes 1,000 updates" in chosen.sentences


@pytest.mark.parametrize(
    ("train", "epochs", "repeats", "batch"),
    [(1, 20, 400, 8), (3, 20, 134, 8), (400, 20, 1, 8), (8_000, 10, 1, 8), (80_000, 3, 1, 8)],
)
def test_updates(train, epochs, repeats, batch):
    recipe = choose(found(EVEN, {(600, 800): train}), train, 1, {}).recipe
    assert (recipe.epochs, recipe.repeats, recipe.batch) == (epochs, repeats, batch)
    assert 1_000 <= epochs * (train * repeats // batch) <= max(10_000, 3 * train // batch)


def test_a_small_batch_where_the_stated_epochs_have_few_images():
    assert choose(found(EVEN, {(60, 80): 3}), 3, 1, {"epochs": 1}).recipe == Recipe(epochs=1, batch=3)
    assert choose(found(EVEN, {(60, 80): 3}), 3, 1, {"epochs": 1, "batch": 8}).recipe.batch == 8


def test_strongly_unequal_classes_are_weighted():
    def weights(line, **stated):
        return choose(found({"background": 1900, "line": line, "absent": 0}, {(64, 64): 9}), 9, 1, stated)

    assert weights(95).recipe.weights == "median"  # 20 times as many pixels
    assert any("background has 20 times as many pixels as line (at least 20)" in s for s in weights(95).sentences)
    assert weights(96).recipe.weights == "none"
    assert any("as many pixels as line (less than 20)" in s for s in weights(96).sentences)
    assert weights(95, weights="none").recipe.weights == "none"
    assert weights(95, loss="dice").recipe == Recipe(**{**vars(weights(96).recipe), "loss": "dice"})
    assert choose(found({"line": 10}, {(64, 64): 1}), 1, 1, {}).recipe.weights == "none"


LINES = [("line", 3.0, 3000, 3000), ("line", 4.0, 3000, 3000), ("leaf", 300.0, 3000, 3000)]


def test_thin_lines_in_large_images_are_trained_at_native_resolution():
    """3.5 pixels of 3,000 are 0.26 of 224."""
    chosen = choose(found(EVEN, {(3000, 3000): 8}, LINES), 8, 2, {})
    assert (chosen.recipe.resolution, chosen.recipe.size) == ("native", (224, 224))
    sentence = "line would be 0.3 pixels wide after resizing"
    assert any("224 × 224 pixels at native resolution" in s and sentence in s for s in chosen.sentences)
    wide = [("line", 40.0, 3000, 3000)]
    assert choose(found(EVEN, {(3000, 3000): 8}, wide), 8, 2, {}).recipe.resolution == "fit"
    small = [("line", 1.0, 64, 64)]  # enlarged to the crop, not reduced
    assert choose(found(EVEN, {(64, 64): 8}, small), 8, 2, {}).recipe.resolution == "fit"
    assert choose(found(EVEN, {(3000, 3000): 8}, LINES), 8, 2, {"resolution": "fit"}).recipe.resolution == "fit"


def test_the_median_image_and_the_thinnest_class_decide():
    """The width after resizing is 1.5, 3 and 6 pixels."""
    widths = [("line", 6.0, 768, 1024), ("line", 6.0, 384, 512), ("line", 6.0, 192, 256)]
    sizes = {(768, 1024): 1, (384, 512): 1, (192, 256): 1}
    assert choose(found(EVEN, sizes, widths), 3, 1, {}).recipe.resolution == "fit"
    assert choose(found(EVEN, sizes, [*widths, ("dot", 7.0, 768, 1024)]), 3, 1, {}).recipe.resolution == "native"


@pytest.mark.parametrize(
    ("size", "crop"),
    [((600, 800), (192, 256)), ((800, 600), (256, 192)), ((500, 500), (224, 224)), ((100, 2000), (160, 320))],
)
def test_crops_have_the_shape_of_the_images(size, crop):
    assert choose(found(EVEN, {size: 3, (1, 9000): 1, (9000, 1): 1}), 5, 1, {}).recipe.size == crop


def test_what_is_stated_wins():
    stated = {
        "size": (64, 96),
        "resolution": "fit",
        "weights": "inverse",
        "epochs": 2,
        "batch": 2,
        "seed": 5,
        "lr": 0.1,
    }
    chosen = choose(found({"background": 1900, "line": 1}, {(3000, 3000): 8}, LINES), 8, 2, stated)
    assert chosen.recipe == Recipe(**stated)
    assert not chosen.sentences


def test_a_validation_in_tiles_takes_no_longer_than_an_epoch():
    """Ten epochs of 8,000 crops, 24,000 predictions' time each; an image of 3,000 × 3,000 has 324 tiles."""
    chosen = choose(found(EVEN, {(3000, 3000): 500}, LINES), 8_000, 2_000, {})
    assert chosen.val_images == 24_000 // 324
    assert any("validation: 74 of 2000 images" in sentence for sentence in chosen.sentences)
