"""The card of a data set: what it may state, what is refused, and that what was written is read again."""

import re
import string
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from helpers.paths import ROOT
from hypothesis import given
from hypothesis import strategies as st

from seglab.data.card import RESERVED, Card, card_text, read_card
from seglab.data.card_values import CHOICES, FORMATS
from seglab.data.catalogue import DATASETS


def written(folder: Path, text: str) -> Path:
    path = folder / "dataset.yaml"
    path.write_text(text, encoding="utf-8")
    return path


EXAMPLES = re.findall(r"```yaml\n(.*?)```", (ROOT / "data" / "CARDS.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES)
def test_documented_examples_are_valid(text, tmp_path):
    assert read_card(written(tmp_path, text)).format in FORMATS


def test_every_key_and_format_is_documented():
    documented = (ROOT / "data" / "CARDS.md").read_text(encoding="utf-8")
    keys = {"path" if field.name == "root" else field.name for field in fields(Card)}
    assert not [name for name in (*keys, *FORMATS) if f"`{name}`" not in documented]


def test_a_card_with_every_key(tmp_path):
    path = written(tmp_path, """
name: leaves
names: [background, leaf, stone]
format: masks
colors: {leaf: '#00ff00', stone: [1, 2, 3], void: '#ffffff'}
images: "raw/{id}.jpg"
masks: "masks/{id}_mask.png"
annotations: a.json
void: "fov/{id}.png"
labels: {0: 0, 7: leaf, 255: void, twig: leaf}
threshold: 128
divide: 1000
reduce_zero: true
unannotated: skip
overlaps: smallest
orientation: upright
size: upsample
range: [0, 4095]
bands: [2, 1, 0]
splits: {train: 0.8, val: 0.2, seed: 3, by: image, test: [a, b]}
groups: '^(.)'
""")  # fmt: skip
    card = read_card(path)
    assert card == read_card(tmp_path)  # of its folder
    assert card.root == tmp_path and card.title == "leaves" and card.names == ("background", "leaf", "stone")
    assert card.colors == {"leaf": (0, 255, 0), "stone": (1, 2, 3), "void": (255, 255, 255)}
    assert card.labels == {0: 0, 7: "leaf", 255: "void", "twig": "leaf"}
    assert (card.threshold, card.divide, card.reduce_zero, card.range, card.bands) == (
        128,
        1000,
        True,
        (0, 4095),
        (2, 1, 0),
    )
    assert card.splits == {"train": 0.8, "val": 0.2, "seed": 3, "by": "image", "test": ["a", "b"]}
    classes = card.classes()
    assert classes.name == "leaves" and classes.background == 0
    assert classes.colors == ((0, 0, 0), (0, 255, 0), (1, 2, 3)) and classes.void_color == (255, 255, 255)


def test_a_card_has_a_background_only_where_a_class_is_named_so():
    card = Card(Path("x"), ("road", "car"))
    assert card.classes().background is None and card.classes().void_color not in card.classes().colors


def test_the_names_of_known_data_sets_are_reserved():
    assert set(RESERVED) == set(DATASETS)


@pytest.mark.parametrize(
    ("folder", "title"),
    [("leaves", "leaves"), ("leaves/data", "leaves"), ("coco", "own-coco"), ("street/export", "own-street")],
)
def test_the_title_is_the_name_of_the_folder(tmp_path, folder, title):
    (tmp_path / folder).mkdir(parents=True)
    assert Card(tmp_path / folder).title == title


def test_path_is_relative_to_the_file(tmp_path):
    (tmp_path / "photos").mkdir()
    card = read_card(written(tmp_path, "path: photos\nnames: {1: leaf, 0: background}"))
    assert card.root == tmp_path / "photos" and card.names == ("background", "leaf")


def test_the_file_of_ultralytics_describes_yolo(tmp_path):
    card = read_card(
        written(tmp_path, "path: .\ntrain: images/train\nval: [images/val]\nnc: 2\nnames: {0: leaf, 1: twig}")
    )
    assert card.format == "yolo" and card.names == ("background", "leaf", "twig")
    assert card.labels == {0: "leaf", 1: "twig"}
    assert card.splits == {"train": "images/train", "val": ["images/val"]}


def test_top_level_splits_do_not_change_a_stated_format(tmp_path):
    card = read_card(written(tmp_path, "train: train.txt\nnames: [a]\nimages: i/{id}.png\nmasks: m/{id}.png"))
    assert card.format == "masks" and card.splits == {"train": "train.txt"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("imges: a", ["unknown key", "'imges'", "did you mean 'images'"]),
        ("- a", ["holds list", "expected keys"]),
        ("names: [a", ["cannot be read as YAML"]),
        ("names: [a]\nnames: [b]", ["cannot be read as YAML", "key 'names' is stated twice"]),
        ("labels: {0: 0, 0: 1}", ["key '0' is stated twice"]),
        ("names: a", ["names: has 'a' (str)", "expected a list"]),
        ("names: [no, yes]", ["names: has False (bool)", "in quotes"]),
        ("names: [a, a]", ["names: has 'a' twice"]),
        ("names: [a, void]", ["names: has 'void'", "under labels:"]),
        ("names: {0: a, 2: b}", ["names: has the indices 0, 2", "0 to 1"]),
        ("nc: 3\nnames: [a]", ["nc: is 3", "names: has 1"]),
        ("colors: {a: red}", ["colors: has 'red'", "'#ff8000'"]),
        ("colors: {a: [1, 2, 300]}", ["colors: has [1, 2, 300]"]),
        ("names: [leaf]\ncolors: {leef: '#ffffff'}", ["unknown class under colors: 'leef'", "did you mean 'leaf'"]),
        ("names: [leaf]\nlabels: {1: lief}", ["unknown class under labels: 'lief'", "did you mean 'leaf'"]),
        ("names: [leaf]\nlabels: {1: 1}", ["labels: has 1: 1", "0…0"]),
        ("labels: {1: 0.5}", ["labels: has 0.5 (float)"]),
        ("format: cocoo", ["format: unknown choice 'cocoo'", "did you mean 'coco'"]),
        ("overlaps: first", ["overlaps: unknown choice 'first'", "smallest"]),
        ("threshold: high", ["threshold: has 'high' (str)", "expected a number"]),
        ("threshold: .nan", ["threshold: has nan"]),
        ("divide: 0", ["divide: has 0 (int)", "from 1 on"]),
        ("reduce_zero: 1", ["reduce_zero: has 1 (int)", "true or false"]),
        ("range: [5, 5]", ["range: has [5, 5]"]),
        ("bands: [0, 1]", ["bands: has 2 indices"]),
        ("splits: {train: 0.8, val: 0.4}", ["splits: has fractions that sum to 1.2"]),
        ("splits: {train: 80}", ["splits: has train: 80"]),
        ("splits: {train: 0.5, by: name}", ["splits: has by: name", "group or image"]),
        ("groups: '(a)(b)'", ["groups: '(a)(b)' has 2 groups in brackets"]),
        ("groups: '(a'", ["groups: '(a' is no regular expression"]),
        ("name: coco", ["name: 'coco'", "choose another"]),
        ("path: nowhere", ["path:", "is no folder"]),
        ("images: 3", ["images: has 3 (int)", "expected a text"]),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_that_names_the_file(tmp_path, text, words):
    path = written(tmp_path, text)
    with pytest.raises(ValueError, match=r"^[^\n]*$") as caught:
        read_card(path)
    assert str(path) in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_missing_card_names_the_command_that_writes_it(tmp_path):
    with pytest.raises(ValueError, match=re.escape(f"seglab datasets --inspect {tmp_path} --write")):
        read_card(tmp_path)


TEXT = st.text(string.ascii_letters + string.digits + " _-./{}#:'\"äß✓", min_size=1, max_size=12)
NAMES = st.lists(TEXT.filter(lambda t: t != "void"), min_size=1, max_size=5, unique=True).map(tuple)
COLOR = st.tuples(*[st.integers(0, 255)] * 3)
NUMBER = st.integers(-5000, 5000) | st.floats(-1e6, 1e6, allow_nan=False)


@st.composite
def cards(draw, root: Path) -> Card:
    names = draw(NAMES)
    meaning = st.sampled_from([*names, "void"]) | st.integers(0, len(names) - 1)
    low, high = sorted(draw(st.lists(NUMBER, min_size=2, max_size=2, unique=True)))
    fractions = draw(
        st.sampled_from([{}, {"train": 0.8, "val": 0.2}, {"train": 0.5, "val": 0.25, "seed": 4, "by": "image"}])
    )
    raw = st.integers(-300, 70000) | TEXT.filter(lambda text: not text.lstrip("-").isdigit())  # 0 and "0" are one key
    listed = draw(st.dictionaries(st.sampled_from(["test", "other"]), TEXT | st.lists(TEXT, max_size=3)))
    return Card(
        root, names,
        name=draw(st.just("") | TEXT.map(lambda t: f"my {t}")),
        colors=draw(st.dictionaries(st.sampled_from([*names, "void"]), COLOR)),
        labels=draw(st.dictionaries(raw, meaning)),
        threshold=draw(st.none() | NUMBER), divide=draw(st.none() | st.integers(1, 100000)),
        reduce_zero=draw(st.booleans()), range=draw(st.none() | st.just((low, high))),
        bands=draw(st.none() | st.lists(st.integers(0, 20), min_size=3, max_size=3).map(tuple)),
        splits=fractions | listed, groups=draw(st.sampled_from(["", "^(.+?)_", "groups.csv"])),
        **{key: draw(st.just("") | TEXT) for key in ("images", "masks", "annotations", "void")},
        **{key: draw(st.sampled_from(values)) for key, values in CHOICES.items()},
    )  # fmt: skip


@pytest.mark.slow
@given(st.data())
def test_what_was_written_is_read_again(data):
    with TemporaryDirectory() as folder:
        card = data.draw(cards(Path(folder)))
        assert read_card(written(Path(folder), card_text(card))) == card


def test_a_card_that_lies_elsewhere_states_the_path(tmp_path):
    (tmp_path / "photos").mkdir()
    card = Card((tmp_path / "photos").resolve(), ("a", "b"))
    assert read_card(written(tmp_path, card_text(card, tmp_path))) == card


def test_default_values_are_not_written():
    assert card_text(Card(Path("x"), ("background", "leaf"), colors={"leaf": (255, 128, 0)})) == (
        "names: [background, leaf]\ncolors: {leaf: '#ff8000'}\n"
    )
    assert FORMATS[-1] == "masks"
