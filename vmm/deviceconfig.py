"""What `--device` says: a kind of device, its name, its place and its settings, still as text."""

from __future__ import annotations

from vmm.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COMMON = ("id", "addr")  # what every device takes
FLAG = "on"  # the value of a key without one
DISK = "virtio-blk"  # what `--disk` adds


class DeviceConfig(Record):
    """One device. `params` are (key, value) as typed; the kind's table says what they mean.

    id: its name in this machine, "" for one made from the kind. addr: "" for the next free slot.
    """

    kind: str
    id: str = ""
    addr: str = ""
    params: tuple[tuple[str, str], ...] = ()


def bus_of(device: DeviceConfig) -> str:
    """Where a disk or card is: "virtio" on the PCI bus, "xen" in a Xen domain's xenstore, or
    "both": on the first until the guest wants it on the second instead.
    """
    return dict(device.params).get("bus", "virtio")


def on_xen(device: DeviceConfig) -> bool:
    """Whether a disk or card never is a PCI device."""
    return bus_of(device) == "xen"


def read_device(text: str) -> DeviceConfig:
    """`NAME[,KEY=VALUE...]`; a comma inside a value is written twice, KEY alone is KEY=on."""
    kind, *words = _split(text)
    if not kind:
        raise ValueError(f"wants the name of a device first, not {text!r}")
    return _made(kind, _pairs(kind, words))


def read_disk(text: str) -> DeviceConfig:
    """`PATH[,KEY=VALUE...]`, else as for a device."""
    path, *words = _split(text)
    if not path:
        raise ValueError(f"wants the path of an image or block device first, not {text!r}")
    pairs = _pairs(path, words)
    if "path" in pairs:
        raise ValueError(f"has a path already, {path}")
    return _made(DISK, {"path": path, **pairs})


def _pairs(kind: str, words: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key:
            raise ValueError(f"{kind} wants KEY=VALUE, not {word!r}")
        if key in pairs:
            raise ValueError(f"{kind} has {key} twice")
        pairs[key] = value if equals else FLAG
    return pairs


def device_of_table(table: Mapping[str, object]) -> DeviceConfig:
    """A TOML table: `kind` and the settings, each a text, a number or true and false."""
    pairs = _pairs_of_table(table)
    kind = pairs.pop("kind", "")
    if not kind:
        raise ValueError("has a table without kind, the name of the device")
    return _made(kind, pairs)


def disk_of_table(table: Mapping[str, object]) -> DeviceConfig:
    """The same with `path` instead of `kind`."""
    pairs = _pairs_of_table(table)
    if not pairs.get("path"):
        raise ValueError("has a table without path, the image or block device")
    return _made(DISK, {"path": pairs.pop("path"), **pairs})


def _pairs_of_table(table: Mapping[str, object]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, bool):
            pairs[key] = FLAG if value else "off"
        elif isinstance(value, str | int | float):
            pairs[key] = str(value)
        else:
            raise ValueError(f"has a table whose {key} is neither a text nor a number")
    return pairs


def _made(kind: str, pairs: dict[str, str]) -> DeviceConfig:
    common = {key: pairs.pop(key) for key in COMMON if key in pairs}
    return DeviceConfig(kind=kind, params=tuple(pairs.items()), **common)


def write_device(device: DeviceConfig) -> str:
    """The text that `read_device` turns into `device`."""
    return _written(device.kind, device, device.params)


def write_disk(disk: DeviceConfig) -> str:
    """The text that `read_disk` turns into `disk`."""
    (_, path), *params = disk.params
    return _written(path, disk, params)


def _written(first: str, device: DeviceConfig, params: Iterable[tuple[str, str]]) -> str:
    common = [(key, getattr(device, key)) for key in COMMON if getattr(device, key)]
    words = [first, *(f"{key}={value}" for key, value in (*common, *params))]
    return ",".join(word.replace(",", ",,") for word in words)


def _split(text: str) -> list[str]:
    """At single commas; a doubled one is a comma of the word."""
    words = [""]
    parts = text.split(",")
    joined = True
    for part in parts:
        if joined:
            words[-1] += part
            joined = False
        elif part == "":
            words[-1] += ","
            joined = True
        else:
            words.append(part)
    return words


def parse_address(text: str) -> tuple[int, int]:
    """`SLOT[.FUNCTION]`, hexadecimal as lspci writes it: (slot, function)."""
    slot, dot, function = text.partition(".")
    try:
        place = int(slot, 16), int(function, 16) if dot else 0
    except ValueError:
        place = -1, -1
    if not (1 <= place[0] <= 31 and 0 <= place[1] <= 7):
        raise ValueError(f"wants SLOT[.FUNCTION], 1 to 1f and 0 to 7 hexadecimal, not {text!r}")
    return place
