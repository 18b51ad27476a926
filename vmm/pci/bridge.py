"""The host bridge: function 0 of slot 0, where a guest looks whether there is a PCI bus at all."""

from __future__ import annotations

from vmm.pci.device import PciDevice
from vmm.pci.function import Ident, PciFunction

# A generic PCI Express host bridge: no driver of a guest has special treatment for it.
IDENT = Ident(
    vendor=0x1B36,
    device=0x0008,
    class_code=0x060000,
    subsystem_vendor=0x1AF4,
    subsystem=0x1100,
)


def host_bridge() -> PciDevice:
    return PciDevice(PciFunction("host-bridge", IDENT))
