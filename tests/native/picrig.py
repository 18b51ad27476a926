"""The pair of interrupt controllers of the split irqchip, on a bus without KVM."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.native.devrig import DeviceRig
from tests.native.twins.pic import MASTER, SLAVE
from vmm.devices.irqchip import pic_pair
from vmm.native import ffi, lib

ICW1, ICW1_NO_ICW4, ICW1_SINGLE, ICW1_LEVEL = 0x11, 0x10, 0x13, 0x19
EOI, SPECIFIC_EOI, ROTATE_EOI, SET_LOWEST = 0x20, 0x60, 0xA0, 0xC0
READ_IRR, READ_ISR, POLL, SPECIAL_MASK = 0x0A, 0x0B, 0x0C, 0x68


class PicRig(DeviceRig):
    """The pair with its output recorded."""

    def __init__(self) -> None:
        super().__init__(lambda _context: pic_pair(), irqchip="split")
        self.events: list[int] = []
        self._intr = ffi.callback("void(void *, int)", lambda _o, level: self.events.append(level))
        lib.pic_set_intr(self.device.pointer, self._intr, ffi.NULL)
        self.ended: list[int] = []
        self._ended = ffi.callback("void(void *, uint32_t)", lambda _o, n: self.ended.append(n))
        lib.pic_set_ended(self.device.pointer, self._ended, ffi.NULL)

    def set_line(self, line: int, level: int) -> None:
        lib.pic_set_line(self.device.pointer, line, level)

    def hold(self, line: int, held: bool) -> None:
        lib.pic_hold(self.device.pointer, line, held)

    def output(self) -> bool:
        return bool(lib.pic_output(self.device.pointer))

    def acknowledge(self) -> int:
        return int(lib.pic_ack(self.device.pointer))

    def initialize(self, icw4: int = 1) -> None:
        """As a PC's firmware does: vectors 0x20 and 0x28, nothing masked."""
        for region, base, wiring in ((MASTER, 0x20, 4), (SLAVE, 0x28, 2)):
            self.write(region, 0, ICW1)
            for word in (base, wiring, icw4, 0x00):
                self.write(region, 1, word)

    def command(self, region: int, value: int) -> None:
        self.write(region, 0, value)


@pytest.fixture
def pic() -> Iterator[PicRig]:
    with PicRig() as rig:
        rig.initialize()
        yield rig
