"""What `--console` says: a serial, virtio or Xen console, and its other end on the host."""

from __future__ import annotations

from vmm.record import Record, replace
from vmm.texts import listing, read_count, read_path, read_size, write_size

CONSOLE_KINDS = ("stdio", "pty", "null", "file", "socket", "connect", "pipe", "fd", "ring")
CONSOLES_WITH_PATH = ("file", "socket", "connect", "pipe", "fd")  # ring may have a size
VIRTIO, XEN = "virtio", "xen"
RING_MIN, RING_MAX = 4 << 10, 1 << 30  # bytes


class ConsoleConfig(Record):
    """One byte channel. `socket` listens on `path`, `connect` calls it.

    pipe: `path`.in and `path`.out are FIFOs. fd: `path` is a number. ring: a size, or "".
    virtio: hvcN of a virtio console instead of a serial port; xen: hvc0 of a Xen domain.
    """

    kind: str = "stdio"
    path: str = ""
    virtio: bool = False
    xen: bool = False

    @property
    def serial(self) -> bool:
        return not (self.virtio or self.xen)


def read_console(text: str) -> ConsoleConfig:
    front, _, end = text.partition(":")
    serial = front not in (VIRTIO, XEN)
    kind, colon, path = (text if serial else "stdio" if text == front else end).partition(":")
    if kind not in CONSOLE_KINDS:
        kinds = (*CONSOLE_KINDS, f"{VIRTIO}:...", f"{XEN}:...") if serial else CONSOLE_KINDS
        raise ValueError(f"wants {listing(kinds)}, not {text!r}")
    console = console_of(kind, path if colon else None)
    return replace(console, virtio=front == VIRTIO, xen=front == XEN)


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
    end = f"{console.kind}:{console.path}" if console.path else console.kind
    front = VIRTIO if console.virtio else XEN if console.xen else ""
    return f"{front}:{end}" if front else end


def host_end(console: ConsoleConfig) -> str:
    """What a console would not share with another one, "" if there is nothing."""
    if console.kind == "ring":
        return ""
    special = {"fd": f"descriptor {console.path}", "pipe": f"pipe:{console.path}"}
    return special.get(console.kind, console.path)
