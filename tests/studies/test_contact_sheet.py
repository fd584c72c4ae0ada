"""The contact sheet: the best bundled model finds every person and cat in photographs of no data set."""

import contact_sheet as study
import pytest

from seglab import CLASS_SETS, load_model, predict
from seglab.models.weights.zoo import photograph_model

# Positions (fraction of the height, of the width) on a person or cat, and beside them.
RIGHT = {
    "grace_hopper": {(0.45, 0.5): "person", (0.85, 0.3): "person", (0.1, 0.9): "background"},
    "astronaut": {(0.22, 0.45): "person", (0.75, 0.3): "person", (0.1, 0.8): "background"},
    "camera": {(0.25, 0.45): "person", (0.6, 0.25): "person", (0.2, 0.1): "background"},
    "chelsea": {(0.2, 0.55): "cat", (0.6, 0.3): "cat", (0.8, 0.9): "background"},
}


@pytest.fixture(scope="module")
def model():
    return load_model(photograph_model(), device="cpu")


@pytest.mark.parametrize("name", RIGHT)
def test_the_best_model_is_right_on_every_person_and_cat(model, name):
    path = next(path for path in study.PHOTOGRAPHS if path.stem == name)
    mask = predict(model, path).mask
    height, width = mask.shape
    found = {(y, x): model.classes.names[mask[int(y * height), int(x * width)]] for y, x in RIGHT[name]}
    assert found == RIGHT[name]


def test_most_of_the_other_photographs_is_background(model):
    background = CLASS_SETS["photographs"].index("background")
    others = [path for path in study.PHOTOGRAPHS if path.stem not in RIGHT]
    assert len(others) == 6
    assert all((predict(model, path).mask == background).float().mean() > 0.95 for path in others)


def test_the_sheet_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study, "PHOTOGRAPHS", study.PHOTOGRAPHS[:1])
    monkeypatch.setattr("sys.argv", ["contact_sheet.py", "--out", str(tmp_path / "a" / "sheet.png")])
    study.main()
    assert (tmp_path / "a" / "sheet.png").stat().st_size > 20_000
    assert capsys.readouterr().out.count("\n") == len(study.bundled())
