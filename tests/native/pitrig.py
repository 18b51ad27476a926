"""An interval timer on a bus without KVM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.native.devrig import DeviceRig
from tests.native.twins.pit import COUNTERS
from vmm.devices.irqchip import interval_timer
from vmm.native import lib

CONTROL = 3
US, MS = 1000, 1_000_000


class PitRig(DeviceRig):
    def __init__(self) -> None:
        super().__init__(interval_timer, irqchip="split")

    def program(self, counter: int, mode: int, count: int, bcd: int = 0) -> None:
        """Control word for low-then-high access, then the count."""
        self.write(COUNTERS, CONTROL, counter << 6 | 0x30 | mode << 1 | bcd)
        self.write(COUNTERS, counter, count & 0xFF)
        self.write(COUNTERS, counter, count >> 8)

    def count(self, counter: int) -> int:
        self.write(COUNTERS, CONTROL, counter << 6)
        return self.read(COUNTERS, counter) | self.read(COUNTERS, counter) << 8

    def ticks(self, n: int) -> None:
        """Moves time to where exactly `n` more clocks have passed."""
        done = self.now * lib.PIT_HZ // 10**9
        self.step(-(-(done + n) * 10**9 // lib.PIT_HZ) - self.now)

    def rises(self) -> int:
        return sum(level for _gsi, level in self.take_edges())

    def save(self) -> dict[str, Any]:
        """Without what the twin has no like of."""
        saved = super().save()
        for name in ("start", "held", "reload", "pending", "low", "latch", "latched", "status"):
            del saved[name]
        return saved


@pytest.fixture
def pit() -> Iterator[PitRig]:
    with PitRig() as rig:
        yield rig
