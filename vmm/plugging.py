"""Devices that come and go while a machine exists.

A device that comes is told to the guest by the hot-plug registers and an ACPI event. One that shall
go is asked for in the same way; the guest's driver lets go of it, the DSDT's _EJ0 method says so,
and only then it leaves. Devices of several functions come from the last one down: a guest sees none
of a slot, and hears of none, until function 0 is there. Context: the machine's lifecycle lock.
"""

from __future__ import annotations

from vmm.deviceconfig import DeviceConfig, bus_of, parse_address, read_device
from vmm.errors import ConfigError, StateError
from vmm.kinds import device_problems, with_names
from vmm.pci import slots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.hardware import Hardware
    from vmm.pci.device import PciDevice


def read(device: str | DeviceConfig) -> DeviceConfig:
    """What `--device` would have said. ConfigError with all that is wrong with it."""
    try:
        config = read_device(device) if isinstance(device, str) else device
    except ValueError as error:
        raise ConfigError(f"the device {error}") from None
    problems = [f"the device {problem}" for problem in device_problems([config])]
    if bus_of(config) != "virtio":
        problems.append("bus= is for --disk and --net, at the start")
    if problems:
        raise ConfigError(*problems)
    return config


def attach(hardware: Hardware, config: DeviceConfig) -> PciDevice:
    """Makes the device, puts it into its slot and tells the guest."""
    used = [device.name for device in hardware.devices]
    if config.id in used:
        raise StateError(f"There is a device called {config.id} already")
    (named,) = with_names([config], used)
    _need_unseen(hardware, named.addr)
    device = slots.make(hardware.context, named)
    try:
        slots.plug(_root(hardware), device, named.addr)
    except BaseException:
        device.close()
        raise
    hardware.add_device(device)
    if not device.function.devfn & 7:
        _registers(hardware).came(device.function.devfn >> 3)
        _acpi(hardware).hotplug()
    return device


def _need_unseen(hardware: Hardware, addr: str) -> None:
    """StateError if no guest would look for a function there: it did when it found function 0."""
    slot, number = parse_address(addr) if addr else (0, 0)
    first = _root(hardware).functions.get(slot << 3)
    if number and first is not None:
        raise StateError(
            f"No guest would find a device at addr={slot:x}.{number:x} any more: it has looked for "
            f"more functions when it found {first.name}. Attach function 0 of a slot last"
        )


def unseen(hardware: Hardware, slot: int) -> bool:
    """Whether what is in the slot still waits for function 0, so that no guest knows of it."""
    return slot << 3 not in _root(hardware).functions


def resize_disk(hardware: Hardware, name: str) -> int:
    """Bytes of the disk's image by now. StateError if there is no disk of that name."""
    from vmm.virtio.blk import Blk

    disk = getattr(hardware.device(name), "device", None)
    if not isinstance(disk, Blk):
        raise StateError(f"There is no disk called {name}")
    return disk.resize()


def slot_of(hardware: Hardware, name: str) -> int:
    """The slot of a PCI device that may leave. StateError if there is none of that name."""
    for function in _root(hardware).functions.values():
        if function.name == name and function.devfn >> 3:
            return int(function.devfn >> 3)
    raise StateError(f"There is no device called {name} that could be detached")


def ask(hardware: Hardware, slot: int) -> None:
    """Asks the guest to let go of what is in the slot."""
    _registers(hardware).shall_go(slot)
    _acpi(hardware).hotplug()


def remove(hardware: Hardware, chosen: set[int]) -> list[dict[str, object]]:
    """Takes everything out of these slots at once; what was there, as events tell it.

    Not on a thread that is inside an access.
    """
    gone: list[dict[str, object]] = []
    for function in sorted(_root(hardware).functions.values(), key=lambda f: -f.devfn):
        slot = function.devfn >> 3
        device: Any = hardware.device(function.name)
        if slot and slot in chosen and device is not None:
            gone.append({"device": device.name, "address": function.address})
            hardware.remove_device(device)
    for slot in chosen:
        _registers(hardware).left(slot)
    return gone


def _root(hardware: Hardware) -> Any:
    root = hardware.device("pci")
    if root is None:
        raise StateError(
            "This machine has no PCI bus, where devices come and go; give it one with --pci on"
        )
    return root


def _registers(hardware: Hardware) -> Any:
    return hardware.device("pci-hotplug")


def _acpi(hardware: Hardware) -> Any:
    return hardware.device("acpi")
