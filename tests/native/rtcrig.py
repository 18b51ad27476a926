"""A real-time clock on a bus without KVM."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.native.devrig import DeviceRig
from tests.native.twins.rtc import (
    CENTURY,
)
from vmm.devices.rtc import Rtc

START = "2024-02-29T23:59:58.250000"
SECONDS = int(datetime.fromisoformat(START + "+00:00").timestamp())
GSI = 8


class RtcRig(DeviceRig):
    def __init__(self, base: str = START, **settings: Any) -> None:
        super().__init__(Rtc, machine="legacy", rtc_base=base, **settings)

    def get(self, index: int) -> int:
        self.write(0, 0, index)
        return self.read(0, 1)

    def put(self, index: int, value: int) -> None:
        self.write(0, 0, index)
        self.write(0, 1, value)

    def time(self) -> list[int]:
        """Century, year, month, day, hour, minute, second as the registers show them."""
        return [self.get(index) for index in (CENTURY, 9, 8, 7, 4, 2, 0)]

    def save(self) -> dict[str, Any]:
        saved = super().save()
        del saved["seconds"], saved["phase"]
        return saved


@pytest.fixture
def rtc() -> Iterator[RtcRig]:
    with RtcRig() as rig:
        yield rig
