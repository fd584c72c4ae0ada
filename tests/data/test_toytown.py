"""Toytown: identical to the last bit, exact labels, not trivial."""

import hashlib

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from seglab.data.classes import CLASS_SETS
from seglab.data.toytown import scene as toytown
from seglab.data.toytown.canvas import Canvas, RandomBits
from seglab.data.toytown.shapes import ellipse, polygon, rectangle
from seglab.metrics.confusion import confusion_matrix
from seglab.metrics.measures import mean_iou

STREET = CLASS_SETS["street"]


def digest(scene: toytown.Scene) -> str:
    return hashlib.sha256(scene.image.tobytes() + scene.target.tobytes() + scene.instance.tobytes()).hexdigest()[:16]


# Computed on x86-64 (Linux). A difference means that this machine draws another Toytown.
HASHES = {
    (10_000, (192, 256), "clear"): "fd61f94102692f03",
    (20_007, (192, 256), "night"): "4d8e8ba78f753a60",
    (30_001, (192, 256), "fog"): "6685270422731f96",
    (30_002, (192, 256), "rain"): "185b800b3f46e96b",
    (30_003, (97, 131), "clear"): "4ddb90d4cfc27586",
    (5, (360, 480), "rain"): "26bdfc0d7a5dedc6",
}


@pytest.mark.parametrize(("seed", "size", "weather"), HASHES)
def test_scenes_are_the_same_to_the_last_bit(seed, size, weather):
    assert digest(toytown.scene(seed, size, weather)) == HASHES[seed, size, weather]


def test_weather_changes_the_light_and_never_a_label():
    scenes = [toytown.scene(123, weather=w) for w in toytown.WEATHERS]
    for other in scenes[1:]:
        assert (other.target == scenes[0].target).all()
        assert (other.instance == scenes[0].instance).all()
        assert (other.image != scenes[0].image).mean() > 0.5


def test_the_layout_is_the_same_at_every_size():
    small, large = toytown.scene(77, (192, 256)), toytown.scene(77, (384, 512))
    downsampled = large.target[::2, ::2]
    labelled = (small.target != 255) & (downsampled != 255)
    assert (small.target == downsampled)[labelled].mean() > 0.95


@pytest.mark.parametrize("size", [(32, 32), (64, 200), (211, 97)])
def test_any_size_works(size):
    scene = toytown.scene(1, size)
    assert scene.image.shape == (3, *size)
    assert scene.target.shape == scene.instance.shape == size


def test_splits_do_not_overlap():
    seeds = [set(r) for r in toytown.SPLITS.values()]
    assert sum(map(len, seeds)) == len(set.union(*seeds))


def test_instances_are_of_countable_classes_and_complete():
    things = {STREET.index(n) for n in STREET.things}
    for seed in range(40):
        scene = toytown.scene(seed)
        inside = scene.instance > 0
        labelled = scene.target != 255
        assert set(np.unique(scene.target[inside & labelled])) <= things
        assert not np.isin(scene.target[~inside], list(things)).any()
        for number in np.unique(scene.instance[inside]):  # one object is of one class
            assert len(np.unique(scene.target[(scene.instance == number) & labelled])) <= 1


@pytest.mark.slow
def test_class_fractions():
    """Thin objects are rare, the road is large, every class occurs, some edges are void."""
    counts = np.zeros(256, np.int64)
    for seed in list(toytown.SPLITS["test"])[:150]:
        counts += np.bincount(toytown.scene(seed).target.ravel(), minlength=256)
    fraction = dict(zip(STREET.names, counts[: len(STREET)] / counts.sum(), strict=True))
    assert fraction["pole"] + fraction["sign"] < 0.02
    assert fraction["road"] > 0.20
    assert min(fraction.values()) > 0.002
    assert 0.005 < counts[255] / counts.sum() < 0.04


@pytest.mark.slow
def test_colour_alone_does_not_solve_it():
    """A classifier of single pixels by their colour alone stays under 0.55 mIoU."""
    rng = np.random.default_rng(0)

    def pixels(seeds):
        scenes = [toytown.scene(s) for s in seeds]
        return np.concatenate([s.image.reshape(3, -1).T for s in scenes]), np.concatenate(
            [s.target.ravel() for s in scenes]
        )

    colours, labels = pixels(list(toytown.SPLITS["train"])[:30])
    chosen = rng.permutation(np.flatnonzero(labels != 255))[:40_000]
    model = HistGradientBoostingClassifier(max_iter=30, early_stopping=False, random_state=0)
    model.fit(colours[chosen], labels[chosen])
    colours, labels = pixels(list(toytown.SPLITS["test"])[:6])
    pred = model.predict(colours).astype(np.uint8)
    assert mean_iou(confusion_matrix(pred, labels, len(STREET))) < 0.55


@pytest.mark.parametrize(("arguments", "words"), [
    ({"seed": 1, "weather": "snow"}, "unknown weather 'snow'.*night"),
    ({"seed": -1}, "seed ≥ 0"),
    ({"seed": 1, "size": (16, 16)}, r"at least \(32, 32\)"),
])  # fmt: skip
def test_bad_requests_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        toytown.scene(**arguments)


def test_rectangle_covers_its_exact_area():
    shape = rectangle((10, 10), 1.25, 2.5, 4.75, 4.0)
    assert (shape.top, shape.left) == (2, 1)
    np.testing.assert_allclose(shape.coverage, np.outer([0.5, 1], [0.75, 1, 1, 0.75]), atol=1e-6)


@pytest.mark.parametrize("shape", [
    rectangle((64, 64), 10.3, 20.6, 40.2, 33.1), rectangle((64, 64), -9, -9, 20.5, 8.25),
    polygon((64, 64), [(10, 10), (50, 20), (30, 55)]), polygon((64, 64), [(30, 55), (50, 20), (10, 10)]),
    ellipse((64, 64), 30, 30, 20, 12),
])  # fmt: skip
def test_coverage_adds_up_to_the_area(shape):
    areas = [29.9 * 12.5, 20.5 * 8.25, 800.0, 800.0, np.pi * 240]
    assert min(abs(shape.coverage.sum() / a - 1) for a in areas) < 0.02


def test_outside_the_canvas_nothing_is_painted():
    canvas = Canvas((10, 10))
    for shape in (
        rectangle((10, 10), 20, 20, 30, 30), polygon((10, 10), [(20, 20), (30, 20), (25, 30)]),
        rectangle((10, 10), -9, -9, -5, 5), ellipse((10, 10), -9, 5, 3, 3), ellipse((10, 10), 5, 50, 3, 3),
    ):  # fmt: skip
        assert shape.coverage.size == 0
        canvas.paint(shape, (1.0, 1.0, 1.0), 3)
    assert not canvas.rgb.any()
    assert not canvas.code.any()


def test_paint_blends_colour_and_labels_what_is_half_covered():
    canvas = Canvas((4, 4))
    canvas.paint(rectangle((4, 4), 0.75, 0, 2.5, 4), (1.0, 0.5, 0.0), 7, instance=3)
    np.testing.assert_allclose(canvas.rgb[0, 0], [0.25, 1, 0.5, 0])
    label, instance = canvas.labels()
    assert label[0].tolist() == [0, 7, 7, 0]
    assert instance[0].tolist() == [0, 3, 3, 0]


def test_random_bits_are_the_raw_integers_of_pcg64():
    """The first three integers for this key, converted to numbers by hand."""
    raw = [int(v) for v in np.random.PCG64([9, 0]).random_raw(3)]
    rng = RandomBits(9, 0)
    assert rng.random() == (raw[0] >> 11) / 2**53
    assert rng.randint(3, 7) == 3 + raw[1] % 5
    assert rng.choice("abc") == "abc"[raw[2] % 3]
