"""The readers of stored studies; tests/studies checks what is stored."""

import pytest

from seglab.course.studies import results_dir, stored_history, stored_run


def test_stored_trainings_have_a_history_and_a_run():
    names = sorted(path.stem for path in (results_dir() / "histories").glob("*.csv"))
    assert "unet_mini-camvid" in names
    for name in names:
        assert stored_history(name).index.name == "epoch"
        assert {"command", "run", "minutes", "machine"} <= set(stored_run(name))


def test_an_unknown_training_is_refused_with_the_known_ones():
    with pytest.raises(
        ValueError, match=r"unknown stored training 'unet_mini-camvit'; did you mean 'unet_mini-camvid'"
    ):
        stored_history("unet_mini-camvit")
