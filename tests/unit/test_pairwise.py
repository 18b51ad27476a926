"""The covering arrays that choose combinations."""

from __future__ import annotations

from tests.pairwise import every, pairs_of, pairwise

FACTORS = {"a": (1, 2, 3), "b": ("x", "y"), "c": (True, False), "d": (0, 1)}


def test_every_pair_of_the_full_product_is_covered() -> None:
    wanted = set().union(*map(pairs_of, every(FACTORS)))
    covered = set().union(*map(pairs_of, pairwise(FACTORS)))

    assert covered == wanted


def test_far_fewer_rows_than_the_full_product() -> None:
    assert len(every(FACTORS)) == 24
    assert len(pairwise(FACTORS)) <= 8
