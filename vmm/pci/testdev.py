"""pci-testdev: ports, memory and doorbells for test kernels (core/pci/pcitest.h)."""

from __future__ import annotations

import os

from vmm.cdevice import CDevice
from vmm.doorbell import Doorbell
from vmm.native import ffi, lib
from vmm.pci.bar import Bar, Piece
from vmm.pci.device import PciDevice
from vmm.pci.function import Ident, PciFunction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.context import DeviceContext
    from vmm.deviceconfig import DeviceConfig

IDENT = Ident(
    vendor=0x1B36,
    device=0x0005,
    class_code=0x00FF00,
    subsystem_vendor=0x1AF4,
    subsystem=0x1100,
)
COMMAND, DECODE_ALL = 0x04, 0x3  # I/O and memory space
BYTES_OF_COUNT = 8


class PciTestdev(PciDevice):
    """It decodes from the start, as firmware leaves it: test kernels never switch it on.

    `bells` are eventfds by (region, test).
    """

    def __init__(self, name: str, extra: int | None) -> None:
        """extra: size of a third range with nothing in it, for tests of large registers."""
        self.registers = CDevice(name, lib.pcitest_create(), [], kind="pcitest")
        self.bells: dict[tuple[int, int], int] = {}
        super().__init__(PciFunction(name, IDENT), registers=self.registers)
        self._bar(0, "mem32", lib.PCITEST_MEMORY, lib.PCITEST_MEMORY_SIZE)
        self._bar(1, "io", lib.PCITEST_PORTS, lib.PCITEST_PORTS_SIZE)
        if extra is not None:
            self.function.add_bar(Bar(number=2, kind="mem64", size=extra, prefetchable=True))
        self.function.set(COMMAND, 2, DECODE_ALL)

    def _bar(self, number: int, kind: str, region: int, size: int) -> None:
        dev = ffi.addressof(self.registers.pointer, "dev")
        bells = []
        for test, match in ((lib.PCITEST_WILDCARD, None), (lib.PCITEST_DATAMATCH, True)):
            fd = self.bells[region, test] = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            at = lib.pcitest_offset(region, test)
            value = lib.PCITEST_MATCH if match else None
            bells.append(Doorbell(address=at, size=1, fd=fd, datamatch=value))
        piece = Piece(offset=0, length=size, dev=dev, region=region, keep=self.registers)
        self.function.add_bar(
            Bar(number=number, kind=kind, size=size, pieces=(piece,), doorbells=tuple(bells))
        )

    def rung(self, region: int, test: int) -> int:
        """How often that doorbell rang since the last call."""
        try:
            return int.from_bytes(os.read(self.bells[region, test], BYTES_OF_COUNT), "little")
        except BlockingIOError:
            return 0

    def close(self) -> None:
        super().close()
        while self.bells:
            os.close(self.bells.popitem()[1])


def make(_context: DeviceContext, config: DeviceConfig, settings: dict[str, Any]) -> PciTestdev:
    return PciTestdev(config.id, settings["membar"])
