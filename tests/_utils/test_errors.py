"""Errors with a remedy, and how a command prints them."""

import pytest
import typer

from seglab._utils.errors import differences, plain_errors, unknown


def test_an_unknown_name_suggests_a_similar_one():
    assert str(unknown("data set", "camvit", ["camvid", "voc"])) == (
        "unknown data set 'camvit'; did you mean 'camvid'? Known: camvid, voc"
    )
    assert str(unknown("data set", "zzz", ["camvid", "voc"])) == "unknown data set 'zzz'. Known: camvid, voc"


def test_only_differing_entries_are_listed():
    assert differences({"seed": 0, "epochs": 5}, {"seed": 1, "epochs": 5}) == "seed: 0 instead of 1"
    assert differences({"seed": 0}, {"seed": 0, "lr": 1}) == "lr: None instead of 1"
    assert differences({"seed": 0}, {"seed": 0}) == ""


@pytest.mark.parametrize("error", [ValueError("what was found"), FileNotFoundError("what was found")])
def test_a_command_prints_one_sentence_and_exits(error, capsys):
    with pytest.raises(typer.Exit) as caught, plain_errors():
        raise error
    assert caught.value.exit_code == 1 and capsys.readouterr().err == "✗ what was found\n"


@pytest.mark.parametrize("error", [BrokenPipeError(), RuntimeError("a bug")])
def test_other_errors_keep_their_traceback(error):
    with pytest.raises(type(error)), plain_errors():
        raise error
