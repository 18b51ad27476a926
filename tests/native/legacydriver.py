"""A driver of the legacy virtio PCI interface (virtio 1.2, 4.1.4.10), as Linux 3 has it."""

from __future__ import annotations

from tests.virtiodriver import Arena, DriverRing
from tests.virtiopci import PciConfig
from vmm.bus import BusProbe

PAGE = 4096
FEATURES, ACCEPT, PFN, SIZE, SELECT, NOTIFY, STATUS, ISR = 0, 4, 8, 12, 14, 16, 18, 19
CONFIG_VECTOR, QUEUE_VECTOR = 20, 22
CONFIG = 20  # 24 while MSI-X is on


class LegacyRing(DriverRing):
    """A ring in the one layout that the legacy interface knows: on a page, the used ring too."""

    def __init__(self, arena: Arena, size: int, *, event_idx: bool = False) -> None:
        super().__init__(arena, size, event_idx=event_idx)
        avail = 16 * size
        used = -(-(avail + 6 + 2 * size) // PAGE) * PAGE
        self.desc = arena.alloc(used + 6 + 8 * size, PAGE)
        self.avail, self.used = self.desc + avail, self.desc + used
        self.clear()


class LegacyDriver:
    """It neither polls for the end of a reset nor waits for DRIVER_OK with what it needs done."""

    def __init__(self, pio: BusProbe, mmio: BusProbe, devfn: int) -> None:
        self.pio = pio
        self.pci = PciConfig(mmio, devfn)
        self.pci.write(0x04, 3, 2)  # no bus mastering: some old drivers forget it
        space, self.base = self.pci.bar(0)
        assert space == "pio"

    def get(self, offset: int, size: int) -> int:
        return self.pio.read(self.base + offset, size)

    def set(self, offset: int, value: int, size: int) -> None:
        self.pio.write(self.base + offset, size, value)

    def reset(self) -> None:
        self.set(STATUS, 0, 1)

    def ring(self, arena: Arena, queue: int) -> LegacyRing:
        """Lays out the ring and hands it over: it is live from here on."""
        self.set(SELECT, queue, 2)
        ring = LegacyRing(arena, self.get(SIZE, 2), event_idx=bool(self.get(ACCEPT, 4) >> 29 & 1))
        self.set(PFN, ring.desc // PAGE, 4)
        return ring

    def notify(self, queue: int) -> None:
        self.set(NOTIFY, queue, 2)
