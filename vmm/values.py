"""Values of options: their types, and how each is read from and written as text.

Every `read_*` takes what the user typed and raises ValueError with the end of a sentence that
starts with the option's name ("--mem " + "wants a size such as 512M, not 'x'").
"""

from __future__ import annotations

from vmm.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.deviceconfig import DeviceConfig
    from vmm.options import Option

TEXT_MAX = 1 << 16  # bytes of one value; the longest sensible one is a kernel command line
NUMBER_MAX = 24  # characters of a number: 2^64 in decimal has 20
UNITS = {"B": 0, "K": 10, "M": 20, "G": 30, "T": 40}
TIME_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
CONSOLE_KINDS = ("stdio", "pty", "null", "file", "socket", "connect", "pipe", "fd", "ring")
CONSOLES_WITH_PATH = ("file", "socket", "connect", "pipe", "fd")  # ring may have a size
RING_MIN, RING_MAX = 4 << 10, 1 << 30  # bytes


class CpuConfig(Record):
    """What `--cpu` says. Feature names are looked up when the vCPUs are made."""

    base: str = "host"  # host: what KVM offers; none: leaves without features
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    vendor: str = ""  # 12 characters of CPUID leaf 0, "" keeps the host's
    topology: tuple[int, int, int] | None = None  # sockets, cores per socket, threads per core


class ConsoleConfig(Record):
    """One byte channel. `socket` listens on `path`, `connect` calls it.

    pipe: `path`.in and `path`.out are FIFOs. fd: `path` is a number. ring: a size, or "".
    """

    kind: str = "stdio"
    path: str = ""


class ModuleConfig(Record):
    """A multiboot module: a file, and the string the guest finds beside it."""

    path: str
    args: str = ""


def read_count(text: str) -> int:
    """A number, decimal or 0x."""
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    base = 10 if digits is text else 16
    if not digits or len(digits) > NUMBER_MAX or not digits.isalnum() or not digits.isascii():
        raise ValueError(f"wants a number, not {text!r}")
    try:
        return int(digits, base)
    except ValueError:
        raise ValueError(f"wants a number, not {text!r}") from None


def read_size(text: str) -> int:
    """Bytes. A bare decimal number counts MiB as in other tools, 0x... counts bytes."""
    body = text.removesuffix("iB").removesuffix("ib")
    shift = UNITS.get(body[-1:].upper())
    try:
        if text[:2] in ("0x", "0X"):
            return read_count(text)
        if body is not text and shift in (None, 0):
            raise ValueError(text)
        if shift is None:
            return read_count(body) << UNITS["M"]
        return read_count(body[:-1]) << shift
    except ValueError:
        raise ValueError(f"wants a size such as 512M, 6G or 0x20000000, not {text!r}") from None


def write_size(size: int) -> str:
    """The shortest exact spelling of `size` bytes that `read_size` accepts."""
    for unit in ("T", "G", "M", "K"):
        if size and size % (1 << UNITS[unit]) == 0:
            return f"{size >> UNITS[unit]}{unit}"
    return f"{size}B"


def read_seconds(text: str) -> float:
    """Seconds, with s, m or h as unit."""
    unit = TIME_UNITS.get(text[-1:])
    digits = text[:-1] if unit else text
    whole, _, part = digits.partition(".")
    if len(digits) > NUMBER_MAX or not digits.isascii() or not (whole + part).isdigit():
        raise ValueError(f"wants seconds such as 30, 1.5, 2m or 1h, not {text!r}")
    return float(digits) * (unit or 1.0)


def read_text(text: str) -> str:
    if "\0" in text:
        raise ValueError("cannot hold a NUL character")
    if len(text) > TEXT_MAX:
        raise ValueError(f"is {len(text)} characters long; the limit is {TEXT_MAX}")
    return text


def read_path(text: str) -> str:
    if not text:
        raise ValueError("wants a file name, not an empty text")
    if len(text) > 4095:  # PATH_MAX with its terminator
        raise ValueError("is longer than a path can be (4095 characters)")
    return read_text(text)


def read_module(text: str) -> ModuleConfig:
    path, _, args = text.partition(" ")
    return ModuleConfig(path=read_path(path), args=read_text(args))


def read_console(text: str) -> ConsoleConfig:
    kind, colon, path = text.partition(":")
    if kind not in CONSOLE_KINDS:
        raise ValueError(f"wants {_listing(CONSOLE_KINDS)}, not {text!r}")
    return console_of(kind, path if colon else None)


def console_of(kind: str, path: str | None) -> ConsoleConfig:
    """A console of a known kind; path: None if there was none, not even an empty one."""
    if kind in CONSOLES_WITH_PATH and not path:
        what = "number" if kind == "fd" else "path"
        raise ValueError(f"{kind} wants a {what}: {kind}:{'N' if kind == 'fd' else 'PATH'}")
    if path is None:
        return ConsoleConfig(kind=kind)
    if kind == "fd":
        if read_count(path) < 3:
            raise ValueError(f"fd wants a descriptor above 2, not {path!r}; those are stdio's")
        return ConsoleConfig(kind=kind, path=str(read_count(path)))
    if kind == "ring":
        if not RING_MIN <= read_size(path) <= RING_MAX:
            raise ValueError(
                f"ring wants {write_size(RING_MIN)} to {write_size(RING_MAX)}, not {path!r}"
            )
        return ConsoleConfig(kind=kind, path=write_size(read_size(path)))
    if kind not in CONSOLES_WITH_PATH:
        raise ValueError(f"{kind} takes no path, so {kind}:{path} cannot be right")
    return ConsoleConfig(kind=kind, path=read_path(path))


def write_console(console: ConsoleConfig) -> str:
    return f"{console.kind}:{console.path}" if console.path else console.kind


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


def _listing(words: tuple[str, ...]) -> str:
    return " or ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else words[0]


def _read_device(text: str) -> DeviceConfig:
    from vmm.deviceconfig import read_device

    return read_device(read_text(text))


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
}


def read(option: Option, text: str) -> object:
    """The value of `option` typed as `text`; ValueError's text continues "--option "."""
    if option.choices and text not in option.choices:
        raise ValueError(f"wants {_listing(option.choices)}, not {text!r}")
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
    if option.kind == "device":
        from vmm.deviceconfig import write_device

        return write_device(value)  # type: ignore[arg-type]
    return str(value)
