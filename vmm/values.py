"""Values of options: their types, and how each is read from and written as text.

Every `read_*` takes what the user typed and raises ValueError with the end of a sentence that
starts with the option's name ("--mem " + "wants a size such as 512M, not 'x'").
"""

from __future__ import annotations

from vmm.consoleconfig import ConsoleConfig, read_console, write_console
from vmm.record import Record
from vmm.texts import (
    listing,
    read_count,
    read_path,
    read_seconds,
    read_size,
    read_text,
    write_size,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vmm.deviceconfig import DeviceConfig
    from vmm.options import Option
    from vmm.portconfig import PortConfig


class CpuConfig(Record):
    """What `--cpu` says. Feature names are looked up when the vCPUs are made."""

    base: str = "host"  # host: what KVM offers; none: leaves without features
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    vendor: str = ""  # 12 characters of CPUID leaf 0, "" keeps the host's
    topology: tuple[int, int, int] | None = None  # sockets, cores per socket, threads per core


class ModuleConfig(Record):
    """A multiboot module: a file, and the string the guest finds beside it."""

    path: str
    args: str = ""


def read_module(text: str) -> ModuleConfig:
    path, _, args = text.partition(" ")
    return ModuleConfig(path=read_path(path), args=read_text(args))


def read_rtc(text: str) -> str:
    """`utc`, `localtime`, or an ISO 8601 time, which is kept as typed."""
    if text not in ("utc", "localtime"):
        from datetime import datetime

        try:
            datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f"wants utc, localtime or a time such as 2024-02-29T12:00:00, not {text!r}"
            ) from None
    return text


def read_cpu(text: str) -> CpuConfig:
    """`host|none[,+f][,-f][,vendor=NAME][,topology=S:C:T]`."""
    base, *parts = text.split(",")
    if base not in ("host", "none"):
        raise ValueError(f"starts with host or none, not {base!r}")
    features: dict[str, bool] = {}
    keys: dict[str, str] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if equals and key in ("vendor", "topology") and key not in keys:
            keys[key] = value
        elif part[:1] in ("+", "-") and _is_feature(part[1:]):
            if features.setdefault(part[1:], part[0] == "+") is not (part[0] == "+"):
                raise ValueError(f"both adds and removes {part[1:]}")
        else:
            known = "+FEATURE, -FEATURE, vendor= and topology="
            raise ValueError(f"takes {known}, not {part!r}")
    return CpuConfig(
        base=base,
        add=tuple(name for name, on in features.items() if on),
        remove=tuple(name for name, on in features.items() if not on),
        vendor=_read_vendor(keys["vendor"]) if "vendor" in keys else "",
        topology=_read_topology(keys["topology"]) if "topology" in keys else None,
    )


def _is_feature(name: str) -> bool:
    return name.isascii() and name.replace("-", "_").replace(".", "_").isidentifier()


def _read_vendor(text: str) -> str:
    if len(text) != 12 or not text.isascii() or not text.isprintable():
        raise ValueError(f"vendor wants 12 characters such as GenuineIntel, not {text!r}")
    return text


def _read_topology(text: str) -> tuple[int, int, int]:
    try:
        sockets, cores, threads = (read_count(part) for part in text.split(":"))
    except ValueError:
        raise ValueError(
            f"topology wants SOCKETS:CORES:THREADS such as 1:4:2, not {text!r}"
        ) from None
    return sockets, cores, threads


def write_cpu(cpu: CpuConfig) -> str:
    parts = [cpu.base, *(f"+{name}" for name in cpu.add), *(f"-{name}" for name in cpu.remove)]
    if cpu.vendor:
        parts.append(f"vendor={cpu.vendor}")
    if cpu.topology:
        parts.append("topology=" + ":".join(str(count) for count in cpu.topology))
    return ",".join(parts)


def _read_port(text: str) -> PortConfig:
    from vmm.portconfig import read_port

    return read_port(read_text(text))


def _read_device(text: str) -> DeviceConfig:
    from vmm.deviceconfig import read_device

    return read_device(read_text(text))


def _read_disk(text: str) -> DeviceConfig:
    from vmm.deviceconfig import read_disk

    return read_disk(read_text(text))


def _read_net(text: str) -> DeviceConfig:
    from vmm.netconfig import read_net

    return read_net(read_text(text))


def _read_part(name: str) -> Callable[[str], object]:
    """A reader of vmm.netconfig, imported when there is something to read."""

    def read_part(text: str) -> object:
        from vmm import netconfig

        return getattr(netconfig, name)(read_text(text))

    return read_part


READERS = {
    "path": read_path,
    "text": read_text,
    "choice": read_text,
    "count": read_count,
    "size": read_size,
    "seconds": read_seconds,
    "module": read_module,
    "console": read_console,
    "cpu": read_cpu,
    "rtc": read_rtc,
    "device": _read_device,
    "disk": _read_disk,
    "port": _read_port,
    "net": _read_net,
    "interface": _read_part("read_interface"),
    "mac": _read_part("read_mac"),
    "fds": _read_part("read_fds"),
    "host-address": _read_part("read_host_address"),
}


def read(option: Option, text: str) -> object:
    """The value of `option` typed as `text`; ValueError's text continues "--option "."""
    if option.choices and text not in option.choices:
        raise ValueError(f"wants {listing(option.choices)}, not {text!r}")
    return READERS[option.kind](text)


def write(option: Option, value: object) -> str:
    """The text that `read` turns into `value`."""
    if option.kind == "size":
        return write_size(value)  # type: ignore[arg-type]
    if isinstance(value, CpuConfig):
        return write_cpu(value)
    if isinstance(value, ConsoleConfig):
        return write_console(value)
    if isinstance(value, ModuleConfig):
        return f"{value.path} {value.args}" if value.args else value.path
    if option.kind == "port":
        from vmm.portconfig import write_port

        return write_port(value)  # type: ignore[arg-type]
    if option.kind == "net":
        from vmm.netconfig import write_net

        return write_net(value)  # type: ignore[arg-type]
    if option.kind == "device":
        from vmm.deviceconfig import write_device

        return write_device(value)  # type: ignore[arg-type]
    if option.kind == "disk":
        from vmm.deviceconfig import write_disk

        return write_disk(value)  # type: ignore[arg-type]
    return str(value)
