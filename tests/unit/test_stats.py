"""Counter snapshots as text and JSON."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from vmm.stats import as_json, as_table, difference, flatten

SNAPSHOT = {
    "vcpus": [{"exits": 12345, "reasons": {"IO": 12000, "HLT": 345, "MMIO": 0}}, {"exits": 0}],
    "bus": {"pio": {"unclaimed": 3}},
    "resets": 2,
    "empty": {},
}


def test_flatten_names_each_leaf_by_its_path() -> None:
    assert dict(flatten(SNAPSHOT))["vcpus.0.reasons.IO"] == 12000
    assert list(flatten(5)) == [("", 5)]


def test_table_has_headings_aligned_columns_and_no_zeros() -> None:
    assert as_table(SNAPSHOT) == (
        "vcpus\n"
        "  0.exits        12,345\n"
        "  0.reasons.IO   12,000\n"
        "  0.reasons.HLT     345\n"
        "bus\n"
        "  pio.unclaimed  3\n"
        "resets\n"
        "  total  2"
    )


def test_table_shows_text_and_fractions_as_they_are() -> None:
    assert as_table({"a": {"name": "x", "ratio": 0.25, "on": True}}) == (
        "a\n  name      x\n  ratio  0.25\n  on     True"
    )


def test_table_names_accesses_by_kind_and_address() -> None:
    rows = [
        {"space": "pio-read", "address": 0x3FD, "count": 23},
        {"space": "other", "address": 0, "count": 1},
    ]

    assert as_table({"vcpus": [{"accesses": rows}]}) == (
        "vcpus\n  0.accesses.pio-read 0x3fd  23\n  0.accesses.other            1"
    )


def test_json_is_one_line_that_reads_back() -> None:
    assert "\n" not in as_json(SNAPSHOT)
    assert json.loads(as_json(SNAPSHOT)) == SNAPSHOT


def test_json_takes_what_json_cannot_hold_as_text() -> None:
    assert json.loads(as_json({"a": b"x"})) == {"a": "b'x'"}


def test_difference_subtracts_numbers_and_keeps_the_shape() -> None:
    before = {"vcpus": [{"exits": 45, "gone": 1}], "name": "a"}
    now = {"vcpus": [{"exits": 100, "new": 7}, {"exits": 5}], "name": "b"}

    assert difference(now, before) == {
        "vcpus": [{"exits": 55, "new": 7}, {"exits": 5}],
        "name": "b",
    }


trees = st.recursive(
    st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner)
)


@given(trees)
def test_difference_to_itself_is_zero_everywhere(tree: object) -> None:
    assert all(value == 0 for _path, value in flatten(difference(tree, tree)))
