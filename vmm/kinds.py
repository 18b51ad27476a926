"""Which kinds of devices `--device` knows: one table, and the entry points of other packages.

A row says where the device is made and what it takes; the module is imported when a machine has
one. Other packages offer kinds in the entry-point group `vmm.devices`: a callable like ours,
`make(context, config, settings)`, that returns a PciDevice. Its attribute `params`, if it has one,
is a tuple of options as in a row here; without it every setting is passed on as text.
"""

from __future__ import annotations

import sys

from vmm import consoleplan
from vmm.argv import nearest
from vmm.deviceconfig import DISK, parse_address
from vmm.options import Option
from vmm.record import Record
from vmm.values import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from vmm.config import VmConfig
    from vmm.deviceconfig import DeviceConfig

ENTRY_POINTS = "vmm.devices"


class Kind(Record):
    """`maker` is "module:name" of a callable, or "" for an entry point's, which is in `load`."""

    name: str
    maker: str
    help: str
    params: tuple[Option, ...] | None = ()  # None: any, as text
    load: Callable[[], Any] | None = None

    def make(self, context: Any, config: DeviceConfig) -> Any:
        """The device, not yet on the bus. `config.id` is its name."""
        if self.load is not None:
            return self.load()(context, config, settings(self, config))
        from importlib import import_module

        module, _, name = self.maker.partition(":")
        return getattr(import_module(module), name)(context, config, settings(self, config))


def param(name: str, kind: str, default: str, help: str, choices: tuple[str, ...] = ()) -> Option:
    """A setting; `kind` and `default` are those of an option."""
    return Option(name=name, flags=(name,), kind=kind, help=help, default=default, choices=choices)


ON_OFF = ("on", "off")
ENGINES = ("auto", "io_uring", "threads")
FORMATS = ("auto", "raw")
# What every virtio device takes; vmm/virtio/make.py reads them.
VIRTIO = (
    param("io-thread", "count", "", "Number of the I/O thread that serves it, from 0."),
    param("notify", "choice", "pio", "Where the driver rings: ports or memory.", ("pio", "mmio")),
    param("access-platform", "choice", "off", "Offer VIRTIO_F_ACCESS_PLATFORM.", ON_OFF),
)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="pci-testdev",
            maker="vmm.pci.testdev:make",
            help="Ports and memory for tests of access and doorbell speed (1b36:0005).",
            params=(param("membar", "size", "", "Size of a third range, with nothing in it."),),
        ),
        Kind(
            name=DISK,
            maker="vmm.virtio.blk:make",
            help="A disk; --disk is short for it.",
            params=(
                param("path", "path", "", "Raw image or block device. Needed."),
                param("ro", "choice", "off", "The guest may only read it.", ON_OFF),
                param("direct", "choice", "off", "Without the host's page cache.", ON_OFF),
                param("queues", "count", "1", "Request queues, 1 to 64."),
                param("serial", "text", "", "Up to 20 bytes that the guest sees; else its id."),
                param("engine", "choice", "auto", "auto takes io_uring if it can.", ENGINES),
                param("format", "choice", "auto", "raw: whatever it begins with.", FORMATS),
                *VIRTIO,
            ),
        ),
        Kind(
            name="virtio-console",
            maker="vmm.virtio.console:make",
            help="Consoles (hvcN) and named ports; --console virtio and --port fill it.",
            params=(
                param("ports", "count", "", "Named ports it has room for, 0 to 62."),
                param(
                    "resize-order",
                    "choice",
                    "linux",
                    "linux: rows first; spec: columns first.",
                    ("linux", "spec"),
                ),
                param("legacy", "choice", "off", "The interface of before virtio 1.0.", ON_OFF),
                *VIRTIO,
            ),
        ),
        Kind(
            name="virtio-net",
            maker="vmm.virtio.net:make",
            help="A network card on a tap; --net makes one.",
            params=(
                param("tap", "interface", "", "Its name; made if there is none, any if not given."),
                param("fd", "fds", "", "N[:N...]: a tap or datagram socket that is open already."),
                param(
                    "vhost", "choice", "auto", "Let the kernel move packets.", ("auto", "on", "off")
                ),
                param("queues", "count", "1", "Pairs of queues, 1 to 16."),
                param("mac", "mac", "", "The card's address; a random one if not given."),
                param(
                    "mtu", "count", "", "Longest packet, for the tap and the guest; 68 to 65535."
                ),
                param("bridge", "interface", "", "Bridge of the host that the tap joins."),
                param("host-addr", "host-address", "", "IP/PREFIX of the host's end."),
                *VIRTIO,
            ),
        ),
        Kind(
            name="virtio-rng",
            maker="vmm.virtio.rng:make",
            help="Random bytes for the guest.",
            params=(
                param("source", "path", "", "Device to read, such as /dev/hwrng; else getrandom."),
                param("max-bytes", "size", "", "At most so many in each period."),
                param("period", "count", "1000", "Milliseconds."),
                *VIRTIO,
            ),
        ),
    )
}


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


def settings(kind: Kind, config: DeviceConfig) -> dict[str, Any]:
    """Every setting of the kind by name, those not given at their default. ValueError: a sentence's
    end, as from `values.read`."""
    if kind.params is None:
        return dict(config.params)
    table = {option.name: option for option in kind.params}
    given = dict(config.params)
    for key in given:
        if key not in table:
            takes = f"it takes {', '.join(table)}" if table else "it takes none of its own"
            hint = nearest(key, table)
            raise ValueError(f"{config.kind} has no setting {key!r}{hint}; {takes}")
    found = {}
    for name, option in table.items():
        text = given.get(name, option.default)
        try:
            found[name] = read(option, text) if text or name in given else None
        except ValueError as error:
            raise ValueError(f"{config.kind}: {name} {error}") from None
    return found


def device_problems(devices: Iterable[DeviceConfig], ids: set[str] | None = None) -> list[str]:
    """Every reason why a machine cannot have these devices, as ends of sentences.

    ids: names that are taken, to which those of the devices are added.
    """
    problems: list[str] = []
    ids = set() if ids is None else ids
    places: set[tuple[int, int]] = set()
    for device in devices:
        kind = find(device.kind)
        try:
            if kind is None:
                raise ValueError(f"knows no {device.kind}{nearest(device.kind, KINDS)}")
            settings(kind, device)
            _check_id(device.id, ids)
            if device.addr:
                _check_place(parse_address(device.addr), places)
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
    ]
    return (
        *config.devices,
        *config.disks,
        *config.nets,
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
