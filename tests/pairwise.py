"""Covering arrays: few rows in which every pair of values of any two factors occurs together."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

Row = dict[str, object]


def every(factors: Mapping[str, Sequence[object]]) -> list[Row]:
    """The full product, in a fixed order."""
    names = list(factors)
    return [
        dict(zip(names, values, strict=True)) for values in itertools.product(*factors.values())
    ]


def pairs_of(row: Row) -> set[tuple[str, object, str, object]]:
    """The pairs of settings that a row covers."""
    items = sorted(row.items())
    return {(a, x, b, y) for (a, x), (b, y) in itertools.combinations(items, 2)}


def pairwise(factors: Mapping[str, Sequence[object]]) -> list[Row]:
    """Rows that cover every pair: greedily the one that covers most of what is left."""
    rows = every(factors)
    left = set().union(*(pairs_of(row) for row in rows))
    chosen: list[Row] = []
    while left:
        best = max(rows, key=lambda row: len(pairs_of(row) & left))
        chosen.append(best)
        left -= pairs_of(best)
    return chosen
