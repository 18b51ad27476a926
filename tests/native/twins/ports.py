"""Models of the reset ports and of the boot marks."""

from __future__ import annotations

from typing import Any

CF9, PORT92 = range(2)
RESET = 2  # enum dev_event
MARKS = 128


class ResetTwin:
    def __init__(self) -> None:
        self.edges: list[tuple[int, int]] = []
        self.control, self.port92 = 0, 2

    def read(self, region: int, offset: int, size: int) -> int:
        if region == PORT92:
            return self.port92
        return self.control

    def write(self, region: int, offset: int, value: int, size: int) -> int:
        if region == PORT92:
            rises = value & ~self.port92 & 1
            self.port92 = value & 3
        else:
            rises = value & ~self.control & 4
            self.control = value & 0xE
        return RESET if rises else 0

    def step(self, _ns: int) -> None:
        pass

    def save(self) -> dict[str, Any]:
        return {"version": 1, "control": self.control, "port92": self.port92}


class MarksTwin:
    def __init__(self) -> None:
        self.edges: list[tuple[int, int]] = []
        self.now = self.writes = self.last = 0
        self.marks: list[tuple[int, int]] = []

    def read(self, _region: int, _offset: int, _size: int) -> int:
        return self.last

    def write(self, _region: int, _offset: int, value: int, _size: int) -> int:
        if not self.marks or self.last != value:
            self.marks.append((self.now, value))
        self.writes, self.last = self.writes + 1, value
        return 0

    def step(self, ns: int) -> None:
        self.now += ns

    def save(self) -> dict[str, Any]:
        ring = [(0, 0)] * MARKS
        for number, mark in enumerate(self.marks):
            ring[number % MARKS] = mark
        return {
            "version": 1,
            "last": self.last,
            "writes": self.writes,
            "recorded": len(self.marks),
            "ns": [ns for ns, _value in ring],
            "value": [value for _ns, value in ring],
        }
