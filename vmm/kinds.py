"""Which kinds of devices `--device` knows: our table, and the entry points of other packages.

Other packages offer kinds in the entry-point group `vmm.devices`: a callable like ours,
`make(context, config, settings)`, that returns a PciDevice. Its attribute `params`, if it has one,
is a tuple of options as in a row of the table; without it every setting is passed on as text.
"""

from __future__ import annotations

import sys

from vmm import consoleplan
from vmm.argv import nearest
from vmm.deviceconfig import on_xen, parse_address
from vmm.kindtable import KINDS, Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from vmm.config import VmConfig
    from vmm.deviceconfig import DeviceConfig
    from vmm.options import Option

ENTRY_POINTS = "vmm.devices"


def find(name: str) -> Kind | None:
    """A kind of ours, or what another package offers by that name."""
    if name in KINDS:
        return KINDS[name]
    return _of_other_packages(name)


def _of_other_packages(name: str) -> Kind | None:
    from importlib.metadata import entry_points

    for entry in entry_points(group=ENTRY_POINTS, name=name):
        return Kind(
            name=name, maker="", help=entry.value, params=_params_of(entry), load=entry.load
        )
    if not sys.flags.no_site:
        return None
    import site  # the command leaves it out at start; packages being developed are found by it

    known = len(sys.path)
    site.main()
    return _of_other_packages(name) if len(sys.path) > known else None


def _params_of(entry: Any) -> tuple[Option, ...] | None:
    found: tuple[Option, ...] | None = getattr(entry.load(), "params", None)
    return found


def device_problems(
    devices: Iterable[DeviceConfig],
    ids: set[str] | None = None,
    places: set[tuple[int, int]] | None = None,
) -> list[str]:
    """Every reason why a machine cannot have these devices, as ends of sentences.

    ids, places: names and addresses that are taken, to which those of the devices are added. Places
    are no matter, if not given: these devices come one by one to a machine that exists.
    """
    problems: list[str] = []
    ids = set() if ids is None else ids
    for device in devices:
        kind = find(device.kind)
        try:
            if kind is None:
                raise ValueError(f"knows no {device.kind}{nearest(device.kind, KINDS)}")
            kind.settings(device)
            _check_id(device.id, ids)
            if device.addr:
                place = parse_address(device.addr)
                if places is not None:
                    _check_place(place, places)
        except ValueError as error:
            problems.append(str(error))
    return problems


def _check_id(name: str, ids: set[str]) -> None:
    if not name:
        return
    if not name.isascii() or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise ValueError(f"id may have letters, digits, - _ and . only, so not {name!r}")
    if name in ids:
        raise ValueError(f"has two devices with id {name}")
    ids.add(name)


def _check_place(place: tuple[int, int], places: set[tuple[int, int]]) -> None:
    slot, function = place
    if place in places:
        raise ValueError(f"has two devices at addr={slot:x}.{function:x}")
    if function and (slot, 0) not in places:
        raise ValueError(
            f"has addr={slot:x}.{function:x} without addr={slot:x}.0 before it: "
            "a guest looks for further functions only where there is the first"
        )
    places.add(place)


def wanted(config: VmConfig) -> tuple[DeviceConfig, ...]:
    """Every device on the PCI bus that a configuration asks for, by whatever option."""
    from vmm.deviceconfig import DeviceConfig

    extra = [
        (consoleplan.KIND, consoleplan.implied(config)),
        ("virtio-rng", config.rng),
        ("pci-testdev", config.testdev),
        ("xen-platform", config.xen),
    ]
    return (
        *config.devices,
        *(disk for disk in config.disks if not on_xen(disk)),
        *(net for net in config.nets if not on_xen(net)),
        *(DeviceConfig(kind=kind) for kind, given in extra if given),
    )


def ids_of(kind: str, config: VmConfig) -> list[str]:
    """Names of all devices of one kind that a configuration asks for, in their order."""
    return [device.id for device in with_names(wanted(config)) if device.kind == kind]


def with_names(devices: Iterable[DeviceConfig], used: Iterable[str] = ()) -> list[DeviceConfig]:
    """The same with an id for each: those without get their kind and the next free number."""
    from vmm.record import replace

    devices = list(devices)
    taken = {*used, *(device.id for device in devices)}
    named = []
    for device in devices:
        name = device.id
        number = 0
        while not name:
            guess = f"{device.kind}{number}"
            number += 1
            if guess not in taken:
                name = guess
        taken.add(name)
        named.append(replace(device, id=name))
    return named
