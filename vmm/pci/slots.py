"""From what a configuration asks for to devices in slots of the PCI bus."""

from __future__ import annotations

from vmm.deviceconfig import parse_address
from vmm.errors import VmmError
from vmm.kinds import find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmm.context import DeviceContext
    from vmm.deviceconfig import DeviceConfig
    from vmm.pci.device import PciDevice
    from vmm.pci.root import PciRoot


def make(context: DeviceContext, config: DeviceConfig) -> PciDevice:
    """The device, in no slot yet. VmmError if it cannot be had."""
    kind = find(config.kind)
    if kind is None:
        raise VmmError(f"There is no kind of device {config.kind!r}")
    device: PciDevice = kind.make(context, config)
    return device


def plug(root: PciRoot, device: PciDevice, addr: str, keep: Iterable[str] = ()) -> None:
    """Puts the device where `addr` says, or into the lowest free slot that is not in `keep`."""
    if addr:
        slot, function = parse_address(addr)
    else:
        slot, function = root.free_slot({parse_address(other)[0] for other in keep}), 0
    root.plug(device.function, slot << 3 | function)
    device.plugged()
