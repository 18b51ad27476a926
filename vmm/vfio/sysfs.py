"""PCI functions as sysfs shows them: driver, IOMMU group, reset methods, registers.

Pure reading. Everything takes the root of the file tree, so that tests can survey a made-up host.
A function that is unplugged meanwhile shows as one without properties, never as an error.
"""

from __future__ import annotations

import os

from vmm.errors import ConfigError, HostError
from vmm.host.survey import at, read
from vmm.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEVICES = "/sys/bus/pci/devices"
DRIVERS = "/sys/bus/pci/drivers"
VFIO_PCI = "vfio-pci"
ROM_LINE = 6  # of `resource`, after the six base address registers
# include/linux/ioport.h
IORESOURCE_IO, IORESOURCE_MEM, IORESOURCE_PREFETCH, IORESOURCE_MEM_64 = (
    0x100, 0x200, 0x2000, 0x100000,
)  # fmt: skip
HEADER_TYPE = 0x0E  # in configuration space; 1 is a bridge
HEADER_BRIDGE = 1
# Drivers that do no DMA of their own or give devices to user space: they leave a group usable.
HARMLESS = frozenset(("", VFIO_PCI, "pci-stub", "pcieport"))
CLASSES = {
    0x00: "device", 0x01: "storage", 0x02: "network", 0x03: "display", 0x04: "multimedia",
    0x05: "memory", 0x06: "bridge", 0x07: "communication", 0x08: "system", 0x09: "input",
    0x0B: "processor", 0x0C: "serial bus", 0x0D: "wireless", 0x12: "accelerator",
}  # fmt: skip
SUBCLASSES = {
    0x0101: "IDE", 0x0104: "RAID", 0x0106: "SATA", 0x0107: "SAS", 0x0108: "NVMe",
    0x0200: "Ethernet", 0x0300: "VGA", 0x0302: "3D", 0x0403: "audio", 0x0600: "host bridge",
    0x0601: "ISA bridge", 0x0604: "PCI bridge", 0x0C03: "USB", 0x0C05: "SMBus",
}  # fmt: skip


class Bar(Record):
    """One base address register, or the ROM (index 6). Bytes; address 0 means not placed."""

    index: int
    address: int
    size: int
    io: bool = False
    wide: bool = False  # 64 bits
    prefetchable: bool = False


class Function(Record):
    """One PCI function. `members` are the addresses in its IOMMU group, its own among them."""

    address: str  # 0000:03:00.0
    vendor: int
    device: int
    class_code: int  # class, subclass, programming interface: 24 bits
    bridge: bool
    driver: str  # "" if there is none
    override: str  # driver_override, "" if it is not set
    group: int | None  # None: no IOMMU stands between it and memory
    members: tuple[str, ...]
    reset_methods: tuple[str, ...]
    bars: tuple[Bar, ...]
    node: str  # its character device of the iommufd interface, "" if there is none
    virtual_functions: int  # enabled at this physical function

    @property
    def kind(self) -> str:
        """What it is, in a word or two."""
        code = self.class_code >> 8
        return SUBCLASSES.get(code) or CLASSES.get(code >> 8) or f"class {code:04x}"

    @property
    def ids(self) -> str:
        return f"{self.vendor:04x}:{self.device:04x}"


def addresses(root: str = "/") -> list[str]:
    """Every PCI function of the host, in order."""
    try:
        return sorted(os.listdir(at(root, DEVICES)))
    except OSError:
        return []


def full_address(text: str) -> str:
    """`03:00.0` and `0000:03:00.0` as sysfs spells them. ConfigError if it is no address."""
    words = text.split(":")
    try:
        domain, bus, place = words if len(words) == 3 else ("0", *words)
        slot, _, number = place.partition(".")
        values = [int(word, 16) for word in (domain, bus, slot, number)]
        good = all(w.isalnum() for w in (domain, bus, slot, number))
    except ValueError:
        good, values = False, []
    if not good or values[0] >> 32 or values[1] >> 8 or values[2] >> 5 or values[3] >> 3:
        raise ConfigError(f"{text!r} is not a PCI address such as 0000:03:00.0 or 03:00.0")
    return "{:04x}:{:02x}:{:02x}.{:x}".format(*values)


def function(text: str, root: str = "/") -> Function:
    """The function at an address. HostError if there is none, ConfigError if it is no address."""
    address = full_address(text)
    if not os.path.isdir(at(root, f"{DEVICES}/{address}")):
        raise HostError(
            f"There is no PCI function {address}; `vmm vfio list` shows those there are"
        )
    return _function(address, root)


def functions(root: str = "/") -> list[Function]:
    return [_function(address, root) for address in addresses(root)]


def _function(address: str, root: str) -> Function:
    folder = f"{DEVICES}/{address}"
    group = link_name(f"{folder}/iommu_group", root)
    return Function(
        address=address,
        vendor=_hex(read(root, f"{folder}/vendor")),
        device=_hex(read(root, f"{folder}/device")),
        class_code=_hex(read(root, f"{folder}/class")),
        bridge=_is_bridge(folder, root),
        driver=link_name(f"{folder}/driver", root),
        override=_override(read(root, f"{folder}/driver_override")),
        group=int(group) if group.isdecimal() else None,
        members=_names(f"{folder}/iommu_group/devices", root) or (address,),
        reset_methods=_reset_methods(folder, root),
        bars=tuple(_bars(read(root, f"{folder}/resource"))),
        node=_node(f"{folder}/vfio-dev", root),
        virtual_functions=_decimal(read(root, f"{folder}/sriov_numvfs")),
    )


def link_name(path: str, root: str = "/") -> str:
    """The last part of where a link points, "" if there is no link."""
    try:
        return os.path.basename(os.readlink(at(root, path)))
    except OSError:
        return ""


def _names(path: str, root: str) -> tuple[str, ...]:
    try:
        return tuple(sorted(os.listdir(at(root, path))))
    except OSError:
        return ()


def _node(folder: str, root: str) -> str:
    """A kernel without nodes for functions has the folder too, but no number in it."""
    numbered = (n for n in _names(folder, root) if os.path.exists(at(root, f"{folder}/{n}/dev")))
    return next((f"/dev/vfio/devices/{name}" for name in numbered), "")


def _hex(text: str) -> int:
    return int(text, 16) if text.startswith("0x") else 0


def _decimal(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _override(text: str) -> str:
    return "" if text == "(null)" else text


def _is_bridge(folder: str, root: str) -> bool:
    try:
        with open(at(root, f"{folder}/config"), "rb") as file:
            header = file.read(HEADER_TYPE + 1)
    except OSError:
        header = b""
    if len(header) <= HEADER_TYPE:
        return _hex(read(root, f"{folder}/class")) >> 8 == 0x0604
    return header[HEADER_TYPE] & 0x7F == HEADER_BRIDGE


def _reset_methods(folder: str, root: str) -> tuple[str, ...]:
    """In the order the kernel tries them. Before Linux 5.15 it only tells that there is one."""
    methods = tuple(read(root, f"{folder}/reset_method").split())
    if not methods and os.path.exists(at(root, f"{folder}/reset")):
        return ("unnamed",)
    return methods


def _bars(text: str) -> Iterator[Bar]:
    for index, line in enumerate(text.splitlines()[: ROM_LINE + 1]):
        words = line.split()
        if len(words) != 3:
            continue
        start, end, flags = (_hex(word) for word in words)
        if flags & (IORESOURCE_IO | IORESOURCE_MEM):
            yield Bar(
                index=index,
                address=start,
                size=end - start + 1,
                io=bool(flags & IORESOURCE_IO),
                wide=bool(flags & IORESOURCE_MEM_64),
                prefetchable=bool(flags & IORESOURCE_PREFETCH),
            )


def offenders(one: Function, root: str = "/", taken: Sequence[str] = ()) -> list[Function]:
    """The group's members whose drivers keep VFIO from it, without those that are `taken` too."""
    others = [address for address in one.members if address not in (one.address, *taken)]
    found = [_function(address, root) for address in others]
    return [other for other in found if not harmless(other)]


def harmless(one: Function) -> bool:
    """Whether a group with this function in it can be used through VFIO."""
    return one.driver in HARMLESS or for_vfio(one)


def for_vfio(one: Function) -> bool:
    """Whether it is bound to vfio-pci, or to a variant of it made for its kind."""
    return one.driver == VFIO_PCI or one.driver.endswith(f"-{VFIO_PCI}")


def bound(text: str) -> Function:
    """The function at an address, if it is free for VFIO. HostError with what binds it, if not."""
    one = function(text)
    if one.group is None:
        raise HostError(
            f"{one.address} is behind no IOMMU that works, and could reach all memory; `vmm vfio "
            f"check {one.address}` says what to do"
        )
    if not for_vfio(one):
        raise HostError(
            f"{one.address} is not bound to vfio-pci; bind it with `sudo vmm vfio bind "
            f"{one.address}` first"
        )
    return one
