"""What a kind of device is, and the table of ours.

A row says where the device is made and what it takes; the module is imported when a machine has
one.
"""

from __future__ import annotations

from vmm.argv import nearest
from vmm.deviceconfig import DISK
from vmm.options import Option
from vmm.record import Record
from vmm.values import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vmm.deviceconfig import DeviceConfig


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
            return self.load()(context, config, self.settings(config))
        from importlib import import_module

        module, _, name = self.maker.partition(":")
        return getattr(import_module(module), name)(context, config, self.settings(config))

    def settings(self, config: DeviceConfig) -> dict[str, Any]:
        """Every setting by name, those not given at their default. ValueError: a sentence's end,
        as from `values.read`."""
        if self.params is None:
            return dict(config.params)
        table = {option.name: option for option in self.params}
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


def param(name: str, kind: str, default: str, help: str, choices: tuple[str, ...] = ()) -> Option:
    """A setting; `kind` and `default` are those of an option."""
    return Option(name=name, flags=(name,), kind=kind, help=help, default=default, choices=choices)


ON_OFF = ("on", "off")
ENGINES = ("auto", "io_uring", "threads")
ON_ERROR = ("pause", "unplug", "ignore")
VFIO_APIS = ("auto", "legacy", "iommufd")
FORMATS = ("auto", "raw")
BUSES = ("virtio", "xen", "both")
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
                param(
                    "bus",
                    "choice",
                    "virtio",
                    "xen: a PV disk; both: when unplugged.",
                    BUSES,
                ),
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
                param(
                    "bus",
                    "choice",
                    "virtio",
                    "xen: a PV card; both: when unplugged.",
                    BUSES,
                ),
                *VIRTIO,
            ),
        ),
        Kind(
            name="vfio",
            maker="vmm.vfio.guestdevice:make",
            help="A PCI function of the host, bound to vfio-pci.",
            params=(
                param("host", "text", "", "Its address there, such as 0000:03:00.0. Needed."),
                param("api", "choice", "auto", "The kernel's interface to it.", VFIO_APIS),
                param("on-error", "choice", "pause", "When it reports that it failed.", ON_ERROR),
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
        Kind(
            name="xen-platform",
            maker="vmm.xen.platformpci:make",
            help="By this drivers know Xen's devices (5853:0001); --xen brings it.",
        ),
    )
}
