"""What the values of masks mean."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from seglab.data.card import Card
from seglab.data.formats import masks, tables
from seglab.data.formats.meaning import explain
from seglab.data.formats.values import Values, add

IMAGE = (np.arange(16 * 3).reshape(4, 4, 3) * 5).astype(np.uint8)


def explained(*arrays, table=None, void_is_zero=False, lossy=False):
    values = Values(total=len(arrays))
    for array in arrays:
        add(values, np.array(array), lossy)
    return explain(values.resolved(), table, void_is_zero).proposal(Card(""))


def table(*names, **more):
    return tables.ClassTable(tables.Path("classes.txt"), names, **more)


def test_two_values_are_two_classes():
    card = explained([[0, 255]], [[0, 0]]).card
    assert (card.labels, card.names) == ({0: 0, 255: 1}, ("class_0", "class_1"))
    assert explained([[0, 65535]]).card.labels == {0: 0, 65535: 1}
    assert explained([[0, 128]], table=table("sky", "sea")).card.names == ("sky", "sea")
    assert explained([[0, 1]]).card.labels == {}


def test_0_and_255_beside_three_names_are_a_question():
    proposal = explained([[0, 255]], table=table("a", "b", "c"))
    assert [proposal.question.options[key]["labels"] for key in ("void", "class")] == [{}, {0: 0, 255: 1}]


def test_consecutive_values_are_class_indices():
    proposal = explained([[0, 1, 2, 255]], [[0, 5, 5, -1]])
    assert proposal.card.names == tuple(f"class_{k}" for k in range(6))
    assert proposal.question is None
    evidence = " ".join(proposal.evidence)
    assert "0 (2 pixels), 1 (1 pixels), 2 (1 pixels), 5 (2 pixels), 255 (1 pixels)" in evidence
    assert "255 is void." in evidence and "−1 is void." in evidence


def test_values_that_count_from_1():
    card = explained([[1, 2, 3]]).card
    assert (card.reduce_zero, card.names) == (True, ("class_0", "class_1", "class_2"))
    assert explained([[1, 2]], table=table("a", "b")).card.reduce_zero
    asked = explained([[0, 1, 2]], table=table("a", "b"))
    assert list(asked.question.options) == ["void", "background"]
    assert asked.question.options["background"] == {"names": ("background", "a", "b"), "reduce_zero": False}


def test_mmsegmentation_asks_about_0():
    proposal = explained([[0, 1, 2]], void_is_zero=True)
    assert proposal.question.options == {
        "void": {"reduce_zero": True, "names": ("class_0", "class_1")},
        "class": {"reduce_zero": False, "names": ("class_0", "class_1", "class_2")},
    }


def test_grey_levels():
    assert explained([[0, 100, 200]]).card.labels == {0: 0, 100: 1, 200: 2}
    proposal = explained([[0, 128, 255]])
    assert proposal.question.options["void"]["labels"] == {0: 0, 128: 1}
    assert proposal.card.labels == {0: 0, 128: 1, 255: 2}


def test_instance_ids_are_a_question():
    proposal = explained([[0, 2001, 11002]])
    assert proposal.card.divide == 1000 and len(proposal.card.names) == 12
    objects = proposal.question.options["each value above 0 is an object of one class"]
    assert objects == {"divide": None, "threshold": 1, "names": ("background", "object")}
    assert "class × 1000 + object" not in explained([[0, 1, 300]]).question.options
    cells = np.kron(np.arange(1, 13).reshape(3, 4), np.ones((2, 2), int))  # twelve regions, one value each
    asked = explained(cells, cells)
    assert list(asked.question.options) == ["objects", "classes"]
    assert asked.card.threshold == 1
    scattered = cells.copy()
    scattered[0, 0] = 12
    assert explained(scattered).question is None


def test_colours():
    red, blue, border = (200, 0, 0), (0, 0, 200), (224, 224, 192)
    proposal = explained(np.array([[red, blue, blue, border]], np.uint8))
    assert proposal.card.colors == {"class_0": blue, "class_1": red, "void": border}
    assert "#0000c8 (2 pixels), #c80000 (1 pixels)" in " ".join(proposal.evidence)
    listed = explained(np.array([[red, (1, 2, 3)]], np.uint8), table=table("a", "b", colors={"a": red, "b": blue}))
    assert listed.card.colors == {"a": red, "b": blue}
    assert "Colours that classes.txt does not list: #010203 (1 pixels)." in listed.evidence
    with pytest.raises(ValueError, match=r"the masks hold 65 colours.*without anti-aliasing"):
        explained(np.array([[(k, 0, 1) for k in range(65)]], np.uint8))


def test_three_equal_channels_hold_numbers():
    assert explained(np.array([[(0, 0, 0), (1, 1, 1)]], np.uint8)).card.names == ("class_0", "class_1")


def test_a_class_named_void_is_a_question():
    colors = {"sky": (1, 1, 1), "Void": (0, 0, 0), "sea": (2, 2, 2)}
    proposal = explained(np.array([[(1, 1, 1), (2, 2, 1)]], np.uint8), table=table(*colors, colors=colors))
    assert proposal.question.options["void"]["names"] == ("sky", "sea")
    assert proposal.question.options["void"]["colors"] == {"sky": (1, 1, 1), "void": (0, 0, 0), "sea": (2, 2, 2)}
    assert proposal.question.options["class"] == {"names": tuple(colors), "colors": colors}
    numbered = explained([[0, 1, 2]], table=table(*colors)).question.options
    assert numbered["void"] == {"names": ("sky", "sea"), "labels": {0: 0, 1: "void", 2: 1}}


def test_lossy_masks():
    assert explained([[0, 3, 250, 255]], lossy=True).card.threshold == 128
    with pytest.raises(ValueError, match=r"lossy compression .JPEG., which changed their values"):
        explained([[0, 100, 130, 255]], lossy=True)


def test_several_questions_are_one(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for name in "ab":
        Image.fromarray(IMAGE).save(tmp_path / f"images/{name}.png")
    Image.fromarray(np.array([[0, 1001], [0, 0]], np.uint16)).save(tmp_path / "masks/a.png")
    proposal = masks.recognise(tmp_path)
    assert len(proposal.question.options) == 2 * 2 * 2  # instances, size, images without masks
    answer = "each value above 0 is an object of one class; upsample; background"
    card = replace(proposal.card, **proposal.question.options[answer])
    first, second = masks.entries(card)
    assert first.target((4, 4)).tolist() == [[0, 0, 1, 1]] * 2 + [[0] * 4] * 2
    assert not second.target((4, 4)).any()


def test_an_ignored_class_of_nnunet_is_void():
    listed = table("sky", "ignore", "car", values={"sky": 0, "ignore": 1, "car": 2})
    card = explained([[0, 1, 2]], table=listed).card
    assert (card.names, card.labels) == (("sky", "car"), {0: 0, 1: "void", 2: 1})
