"""The platform PCI device (5853:0001): by it drivers know that there are Xen's devices.

Linux starts xenbus and its grant table when it has found this. The memory register is a range of
addresses with nothing in it, where a driver may have shared pages appear; the ports are those of
another age.
"""

from __future__ import annotations

from vmm.pci.bar import Bar
from vmm.pci.device import PciDevice
from vmm.pci.function import Ident, PciFunction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.context import DeviceContext
    from vmm.deviceconfig import DeviceConfig

IDENT = Ident(
    vendor=0x5853,
    device=0x0001,
    class_code=0xFF8000,
    revision=1,
    subsystem_vendor=0x5853,
    subsystem=0x0001,
    pin=1,
)
PORTS, MEMORY = 0x100, 16 << 20


def make(_context: DeviceContext, config: DeviceConfig, _settings: dict[str, Any]) -> PciDevice:
    function = PciFunction(config.id, IDENT)
    function.add_bar(Bar(number=0, kind="io", size=PORTS))
    function.add_bar(Bar(number=1, kind="mem32", size=MEMORY, prefetchable=True))
    return PciDevice(function)
