"""Splits and groups that a card states."""

import pytest
from helpers.own import ids, leaves
from hypothesis import given
from hypothesis import strategies as st

from seglab.data.card import read_card
from seglab.data.own import entries_of
from seglab.data.splits import entry_groups, split_entries

NAMES = ("s1_a", "s1_b", "s2_a", "s2_b", "s3_a")


def splits(folder, card):
    found = read_card(leaves(folder, NAMES, card))
    return ids(split_entries(found, entries_of(found)))


def test_ids_patterns_folders_and_lists(tmp_path):
    (tmp_path / "val.txt").write_text("images/s2_a.png masks/s2_a.png\n./images/s2_b.png\n\n")
    card = 'splits: {train: ["images/s1_*.png"], val: val.txt, test: [s3_a], all: images}'
    assert splits(tmp_path, card) == {
        "train": ["s1_a", "s1_b"], "val": ["s2_a", "s2_b"], "test": ["s3_a"], "all": list(NAMES),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("splits: {train: [s9_a]}", "unknown image in splits: train 's9_a'; did you mean"),
        ('splits: {train: "photos/{id}.png"}', r"splits: train: 'photos/\{id\}.png' fits no image below"),
        ("splits: {train: lost.txt}", "unknown image in splits: train 'lost.txt'"),
        ("groups: '^t(.)'", r"groups: '\^t\(\.\)' does not fit 5 of 5 ids, such as 's1_a'"),
        ("groups: groups.csv", "groups.csv: cannot be read"),
        ("splits: {a: 0.2, b: 0.2, c: 0.2, d: 0.2}\ngroups: '^(s.)'", "4 fractions need at least as many groups"),
    ],
)
def test_what_fits_nothing_is_named(tmp_path, card, words):
    found = read_card(leaves(tmp_path, NAMES, card))
    with pytest.raises(ValueError, match=words):
        entry_groups(found, entries_of(found))
        split_entries(found, entries_of(found))


def test_fractions_keep_groups_together(tmp_path):
    found = splits(tmp_path, "splits: {train: 0.6, val: 0.4, seed: 1}\ngroups: '^(s.)'")
    groups = [{name[:2] for name in found[split]} for split in ("train", "val")]
    assert not groups[0] & groups[1] and sorted(found["train"] + found["val"]) == sorted(NAMES)


def test_fractions_depend_on_the_seed_and_divide_images_too(tmp_path):
    found = [
        splits(tmp_path, f"splits: {{train: 0.6, val: 0.4, seed: {k}, by: image}}\ngroups: '^(s.)'") for k in range(6)
    ]
    assert all(len(part["train"]) == 3 and len(part["val"]) == 2 for part in found)
    assert len({tuple(part["val"]) for part in found}) > 1
    assert found[0] == splits(tmp_path, "splits: {train: 0.6, val: 0.4, by: image}\ngroups: '^(s.)'")


@given(train=st.sampled_from([0.5, 0.8, 0.9]), seed=st.integers(0, 99))
def test_no_split_is_empty_and_none_overlaps(tmp_path_factory, train, seed):
    found = splits(
        tmp_path_factory.mktemp("own"), f"splits: {{train: {train}, val: {round(1 - train, 2)}, seed: {seed}}}"
    )
    assert found["train"] and found["val"] and sorted(found["train"] + found["val"]) == sorted(NAMES)


def test_fractions_leave_the_rest_out(tmp_path):
    found = splits(tmp_path, "splits: {train: 0.4, val: 0.2}")
    assert len(found["train"]) == 2 and len(found["val"]) == 1


def test_groups_from_a_csv(tmp_path):
    rows = "".join(f"{name},{name[:2]}\n" for name in NAMES)
    (tmp_path / "groups.csv").write_text(f"id,group\n{rows}other,x\n")
    card = read_card(leaves(tmp_path, NAMES, "groups: groups.csv"))
    assert set(entry_groups(card, entries_of(card)).values()) == {"s1", "s2", "s3"}
    (tmp_path / "groups.csv").write_text("id,group\ns1_a,s1\n")
    with pytest.raises(ValueError, match=r"groups\.csv: lacks 4 of 5 ids, such as 's1_b'"):
        entry_groups(card, entries_of(card))
    (tmp_path / "groups.csv").write_text("name,drive\ns1_a,s1\n")
    with pytest.raises(ValueError, match="expected the columns id and group, found name, drive"):
        entry_groups(card, entries_of(card))
