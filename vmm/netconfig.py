"""What `--net` says: `tap[=NAME][,KEY=VALUE...]` or `fd=N[:N...][,KEY=VALUE...]`.

It is `--device virtio-net` with other words: addr= is an address of the host's end here, which is
host-addr= there, because every device has a PCI address of that name.
"""

from __future__ import annotations

from vmm.deviceconfig import FLAG, DeviceConfig, device_of_table, read_device, write_device
from vmm.record import replace
from vmm.texts import read_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

KIND = "virtio-net"
NAME_MAX = 15  # bytes, IFNAMSIZ without its zero


def read_net(text: str) -> DeviceConfig:
    """ValueError's text continues "--net "."""
    word = text.partition(",")[0].partition("=")[0]
    if word not in ("tap", "fd"):
        raise ValueError(f"starts with tap, tap=NAME or fd=N, not {text.partition(',')[0]!r}")
    return _of_device(read_device(f"{KIND},{text}"))


def net_of_table(table: Mapping[str, object]) -> DeviceConfig:
    """A TOML table with the same keys; `tap = true` is a tap of any name."""
    if ("tap" in table) == ("fd" in table):
        raise ValueError("has a table that wants tap or fd, one of them")
    return _of_device(device_of_table({"kind": KIND, **table}))


def _of_device(device: DeviceConfig) -> DeviceConfig:
    params = [(k, v) for k, v in device.params if (k, v) != ("tap", FLAG)]
    if device.addr:
        params.append(("host-addr", device.addr))
    return replace(device, addr="", params=tuple(params))


def write_net(device: DeviceConfig) -> str:
    """The text that `read_net` turns into `device`."""
    params = [("addr" if k == "host-addr" else k, v) for k, v in device.params]
    first = [(k, v) for k, v in params if k in ("tap", "fd")]
    rest = [(k, v) for k, v in params if k not in ("tap", "fd")]
    text = write_device(replace(device, params=(*first, *rest), id=""))
    words = text.split(",", 1)[1:] if first else ["tap", *text.split(",", 1)[1:]]
    return ",".join([*words, *([f"id={device.id}"] if device.id else [])])


def read_interface(text: str) -> str:
    """A name that an interface can have, of characters."""
    ok = text not in (".", "..") and not any(c.isspace() or c in "/:%" for c in text)
    try:
        length = len(text.encode())
    except UnicodeEncodeError:  # bytes that are no UTF-8
        length = 0
    if not ok or not 1 <= length <= NAME_MAX:
        raise ValueError(f"wants an interface's name of up to {NAME_MAX} bytes, not {text!r}")
    return text


def read_mac(text: str) -> bytes:
    """Six bytes, of one station."""
    parts = text.split(":")
    try:
        mac = bytes(int(part, 16) for part in parts)
    except ValueError:
        mac = b""
    if len(mac) != 6 or any(len(part) > 2 for part in parts):
        raise ValueError(f"wants six bytes such as 52:54:00:12:34:56, not {text!r}")
    if mac[0] & 1:
        raise ValueError(f"is {text}, which is a group's address: the first byte must be even")
    if not any(mac):
        raise ValueError("cannot be all zeros")
    return mac


def read_fds(text: str) -> tuple[int, ...]:
    """`N[:N...]`, one descriptor for each pair of queues."""
    return tuple(read_count(part) for part in text.split(":"))


def read_host_address(text: str) -> str:
    """`IP/PREFIX`, kept as typed."""
    from ipaddress import ip_interface

    try:
        if "/" not in text:
            raise ValueError
        ip_interface(text)
    except ValueError:
        raise ValueError(f"wants IP/PREFIX such as 192.0.2.1/24, not {text!r}") from None
    return text
