"""newc cpio archives, the format of initramfs images: the only writer of them in the project.

Format: Documentation/driver-api/early-userspace/buffer-format.rst of Linux. Archives are
reproducible (times and owners are 0) and uncompressed, because unpacking would cost the guest's
time.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable

from vmm.record import Record

MAGIC = "070701"
TRAILER = "TRAILER!!!"
ALIGN = 4
FIELD_MAX = 0xFFFF_FFFF  # every header field is eight hexadecimal digits
NAME_MAX = 4096  # PATH_MAX: the kernel drops longer names, terminator included


class Entry(Record):
    """One member. `mode` holds type and permissions; `data` is the contents or a link's target."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)  # major and minor of a device node


def file(name: str, data: bytes, mode: int = 0o644) -> Entry:
    """A regular file."""
    return Entry(name=name, mode=stat.S_IFREG | mode, data=data)


def directory(name: str, mode: int = 0o755) -> Entry:
    """A directory."""
    return Entry(name=name, mode=stat.S_IFDIR | mode)


def link(name: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(name=name, mode=stat.S_IFLNK | 0o777, data=target.encode())


def character_device(name: str, major: int, minor: int, mode: int = 0o600) -> Entry:
    """A character device node."""
    return Entry(name=name, mode=stat.S_IFCHR | mode, device=(major, minor))


def pack(entries: Iterable[Entry]) -> bytes:
    """The archive of `entries` in the order given; missing parent directories are added before
    them.

    Archives can be joined: the kernel unpacks one after another. ValueError for a name or a size
    that the format cannot hold.
    """
    members = list(entries)
    named = {_clean(member.name) for member in members}
    made: set[str] = set()
    out = bytearray()
    number = 1
    for member in members:
        name = _clean(member.name)
        for parent in _parents(name):
            if parent not in made and parent not in named:
                out += _member(number, parent, directory(parent))
                number += 1
            made.add(parent)
        out += _member(number, name, member)
        number += 1
    out += _member(0, TRAILER, Entry(name=TRAILER, mode=0))
    return bytes(out)


def _clean(name: str) -> str:
    clean = name.strip("/")
    if not clean or len(clean.encode()) >= NAME_MAX or "\0" in clean:
        raise ValueError(f"an initramfs cannot hold a member named {name[:80]!r}")
    return clean


def _parents(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]


def _member(number: int, name: str, member: Entry) -> bytes:
    """Header, name and contents, each padded to four bytes."""
    size = len(member.data)
    if size > FIELD_MAX:
        raise ValueError(f"{name} is too large for an initramfs: {size} bytes, at most {FIELD_MAX}")
    encoded = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(member.mode) else 1
    major, minor = member.device
    # ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    fields = (number, member.mode, 0, 0, links, 0, size, 0, 0, major, minor, len(encoded), 0)
    head = (MAGIC + "".join(f"{field:08X}" for field in fields)).encode() + encoded
    return _padded(head) + _padded(member.data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGN)
