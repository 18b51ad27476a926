"""Measurements by name, and the JSON file that holds them.

A name is SUITE/SUBJECT or SUITE/OPERATION/SUBJECT, its samples those of the rounds that count.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

VERSION = 1


class Measures:
    """Samples by name, in the order in which they were first added."""

    def __init__(self) -> None:
        self.samples: dict[str, list[float]] = {}
        self.about: dict[str, Any] = {}

    def add(self, name: str, value: float) -> None:
        self.samples.setdefault(name, []).append(value)

    def merge(self, other: Measures) -> None:
        self.samples.update(other.samples)
        self.about.update(other.about)

    def get(self, name: str) -> float | None:
        """The median, None if it was not measured."""
        found = self.samples.get(name)
        return median(found) if found else None

    def spread(self, name: str) -> float:
        """(largest - smallest) / median."""
        found, middle = self.samples.get(name, [0]), self.get(name)
        return (max(found) - min(found)) / middle if middle else 0.0

    def save(self, path: Path) -> None:
        """Replaces the file whole: whoever interrupts it leaves the one before."""
        table = {"version": VERSION, "about": self.about, "samples": self.samples}
        fresh = path.with_name(f"{path.name}.new")
        fresh.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
        fresh.replace(path)


def load(path: Path) -> Measures:
    """Raises ValueError for a file that is none of ours."""
    table = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(table, dict) or table.get("version") != VERSION:
        raise ValueError(f"{path} is no file of benchmark results, version {VERSION}")
    made = Measures()
    made.samples, made.about = table["samples"], table["about"]
    return made
