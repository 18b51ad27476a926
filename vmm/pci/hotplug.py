"""Hot-plug registers: how the guest hears of devices that come and that shall go (pcihp.h)."""

from __future__ import annotations

from vmm import layout
from vmm.cdevice import CDevice
from vmm.native import lib


class HotplugRegisters(CDevice):
    """What the DSDT's methods read. Whoever calls raises the ACPI event afterwards."""

    kind = "pcihp"

    def __init__(self) -> None:
        self.asked: set[int] = set()  # slots that the guest has not let go of yet
        claims = [("pio", layout.PORT_PCI_HOTPLUG, int(lib.PCIHP_SIZE), 0)]
        super().__init__("pci-hotplug", lib.pcihp_create(), claims)

    def came(self, slot: int) -> None:
        """There is a new device. Any thread."""
        lib.pcihp_came(self.pointer, slot)

    def shall_go(self, slot: int) -> None:
        """The guest is asked to let go of the slot's devices. Any thread."""
        self.asked.add(slot)
        lib.pcihp_shall_go(self.pointer, slot)

    def left(self, slot: int) -> None:
        """The slot is empty."""
        self.asked.discard(slot)
        lib.pcihp_left(self.pointer, slot)
