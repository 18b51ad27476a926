"""What `--port` says, and where a port's other end is: the same back-ends as a console's.

`name=org.x,socket=PATH`, `nr=3,pty`, `name=c,console,file=PATH` ...
"""

from __future__ import annotations

from vmm.consoleconfig import CONSOLE_KINDS, CONSOLES_WITH_PATH, ConsoleConfig, console_of
from vmm.record import Record
from vmm.texts import read_count, read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PORTS_MAX = 63  # VCON_MAX_PORTS, numbers from 0 on
NAME_MAX = 255  # bytes, VCON_NAME_MAX
KEYS = ("name", "nr", "device", "console", "overflow", *CONSOLE_KINDS)


class PortConfig(Record):
    """A port of a virtio console. number: None takes the next free one.

    A serial port has a name, which the guest finds as /dev/virtio-ports/NAME; a console port is
    hvcN there. overflow: of a console, "drop" or "block"; a serial port always blocks its writer.
    device: the id of the virtio-console it belongs to, "" for the first.
    """

    end: ConsoleConfig
    name: str = ""
    number: int | None = None
    device: str = ""
    console: bool = False
    overflow: str = "drop"

    def said(self) -> str:
        """How a sentence calls it."""
        if self.name:
            return f"port {self.name}"
        kind = "console port" if self.console else "port"
        return kind if self.number is None else f"{kind} {self.number}"


def read_port(text: str) -> PortConfig:
    """ValueError's text continues "--port "."""
    words: dict[str, str | None] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if key in words:
            raise ValueError(f"has {key} twice")
        words[key] = value if equals else None
    return port_of(words)


def port_of(words: Mapping[str, str | None]) -> PortConfig:
    """A port from its keys; None as a value means that the key stood alone."""
    for key in words:
        if key not in KEYS:
            raise ValueError(f"takes {', '.join(KEYS)}, not {key!r}")
    ends = [key for key in words if key in CONSOLE_KINDS]
    if len(ends) != 1:
        raise ValueError(
            f"wants one of {', '.join(CONSOLE_KINDS)}, such as socket=PATH"
            + (f", not {' and '.join(ends)}" if ends else "")
        )
    console = "console" in words
    if console and words["console"] is not None:
        raise ValueError("console stands alone, without a value")
    overflow = words.get("overflow", "drop" if console else None)
    if not console and overflow is not None:
        raise ValueError("overflow is for consoles; a serial port holds its writer back")
    if console and overflow not in ("drop", "block"):
        raise ValueError(f"overflow wants drop or block, not {overflow!r}")
    return PortConfig(
        end=_read_end(ends[0], words[ends[0]]),
        name=_read_name(words["name"] or "") if "name" in words else "",
        number=_read_number(words["nr"] or "", console) if "nr" in words else None,
        device=read_text(words.get("device") or ""),
        console=console,
        overflow=overflow or "drop",
    )


def port_of_table(table: Mapping[str, object]) -> PortConfig:
    """A TOML table with the same keys; those that stand alone are true."""
    words: dict[str, str | None] = {}
    for key, value in table.items():
        if value is True:
            words[key] = None
        elif isinstance(value, str | int) and value is not False:
            words[key] = str(value)
        else:
            raise ValueError(f"has a table whose {key} is neither a text, a number nor true")
    return port_of(words)


def _read_end(kind: str, value: str | None) -> ConsoleConfig:
    if kind in CONSOLES_WITH_PATH and not value:
        raise ValueError(f"{kind} wants a value: {kind}={'N' if kind == 'fd' else 'PATH'}")
    return console_of(kind, value)


def _read_name(name: str) -> str:
    read_text(name)
    if not name or len(name.encode(errors="surrogateescape")) > NAME_MAX:
        raise ValueError(f"name wants 1 to {NAME_MAX} bytes")
    if "/" in name or not name.isprintable():
        raise ValueError(f"name {name!r} cannot become a file name in the guest")
    return name


def _read_number(text: str, console: bool) -> int:
    number = read_count(text)
    if number >= PORTS_MAX:
        raise ValueError(f"nr is {number}; numbers go from 0 to {PORTS_MAX - 1}")
    if number == 0 and not console:
        raise ValueError("nr=0 is reserved for a console; a serial port starts at 1")
    return number


def read_end(text: str) -> ConsoleConfig:
    """The part of `--port` that says where a port leads: `socket=PATH`, `pty` ..."""
    kind, equals, value = text.partition("=")
    if kind not in CONSOLE_KINDS:
        raise ValueError(f"wants one of {', '.join(CONSOLE_KINDS)}, not {text!r}")
    return _read_end(kind, value if equals else None)


def write_port(port: PortConfig) -> str:
    """The text that `read_port` turns into `port`."""
    parts = [f"name={port.name}"] if port.name else []
    parts += [f"nr={port.number}"] if port.number is not None else []
    parts += [f"device={port.device}"] if port.device else []
    parts += ["console"] if port.console else []
    parts += [f"overflow={port.overflow}"] if port.console and port.overflow != "drop" else []
    parts.append(f"{port.end.kind}={port.end.path}" if port.end.path else port.end.kind)
    return ",".join(parts)
