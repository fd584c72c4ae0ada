"""The rows of `MODELS`: names, families and counts."""

import pytest

from seglab.data.classes import CLASS_SETS
from seglab.models.cost import cost
from seglab.models.loading import load_model
from seglab.models.registry import MODELS
from seglab.models.spec import FAMILIES

MINIS = [name for name in MODELS if name.endswith("_mini")]


def test_rows_name_known_families_and_class_sets():
    assert len(MODELS) == 17
    assert len(MINIS) == 6
    for name, spec in MODELS.items():
        assert spec.name == name
        assert spec.family in FAMILIES
        assert spec.year == FAMILIES[spec.family][0]
        assert spec.classes is None or spec.classes in CLASS_SETS


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_parameters_and_multiply_accumulates_are_those_counted(name):
    """On tensors that have shapes and no values."""
    spec = MODELS[name]
    counted = cost(load_model(name, weights=None, classes=spec.classes or "voc", device="cpu").to("meta"), spec.size)
    assert counted.params == spec.params
    assert counted.macs / 1e9 == pytest.approx(spec.gmacs, abs=5.1e-5)


@pytest.mark.parametrize("name", MINIS)
def test_minis_are_small(name):
    assert sum(p.numel() for p in load_model(name, weights=None).parameters()) <= 1.9e6
