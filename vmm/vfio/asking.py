"""Asking VFIO: descriptors, replies longer than the structure we know, chains of capabilities.

Kernels differ in how much they answer. Every question is asked with the structure that we know, and
once more with exactly the size that the kernel wants. Unknown capabilities are skipped.
"""

from __future__ import annotations

import os

from vmm.errors import HostError, VfioError
from vmm.native import Fd, ffi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REPLY_MAX = 1 << 20  # bytes; the longest known replies have a few hundred


class VfioFd(Fd):
    """A container, group, device or iommufd descriptor; what fails is a VfioError."""

    error = VfioError


def open_node(path: str, advice: dict[type[OSError], str]) -> VfioFd:
    """Opens a device node. HostError has the advice for what came back."""
    try:
        return VfioFd(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        found = [text for kind, text in advice.items() if isinstance(error, kind)]
        remedy = found[0] if found else "see `vmm vfio check`"
        raise HostError(f"Opening {path} failed: {error.strerror}; {remedy}") from error


class Reply:
    """One answer: `struct`, which keeps its memory, and the capabilities behind it."""

    def __init__(self, fd: VfioFd, name: str, kind: str, about: str, **fields: int) -> None:
        self._kind = kind
        self._memory: Any = ffi.new("char[]", ffi.sizeof(kind))
        self._ask(fd, name, about, fields)
        if len(self._memory) < self.struct.argsz <= REPLY_MAX:
            self._memory = ffi.new("char[]", self.struct.argsz)
            self._ask(fd, name, about, fields)

    def _ask(self, fd: VfioFd, name: str, about: str, fields: dict[str, int]) -> None:
        kept = self._memory  # as long as the structure, which may outlive the reply
        self.struct: Any = ffi.gc(ffi.cast(f"{self._kind} *", kept), lambda _struct: kept)
        self.struct.argsz = len(self._memory)
        for field, value in fields.items():
            setattr(self.struct, field, value)
        fd.ioctl(name, self.struct, about)

    def capabilities(self, flag: int) -> dict[int, int]:
        """Offsets of capabilities by number, if `flag` says there are any; a loop is cut."""
        found: dict[int, int] = {}
        offset = self.struct.cap_offset if self.struct.flags & flag else 0
        seen = set()
        while offset and offset not in seen:
            header = self.at(offset, "struct vfio_info_cap_header")
            if header is None:
                break
            seen.add(offset)
            found.setdefault(header.id, offset)
            offset = header.next
        return found

    def at(self, offset: int, kind: str, more: int = 0) -> Any:
        """A structure at an offset, with `more` bytes behind it; None if the reply is too short."""
        if offset + ffi.sizeof(kind) + more > len(self._memory):
            return None
        return ffi.cast(f"{kind} *", self._memory + offset)

    def pairs(self, offset: int, kind: str, count: str, array: str) -> list[Any]:
        """The structures in a capability's array, as many as it says and the reply holds."""
        head = self.at(offset, kind)
        if head is None:
            return []
        number = int(getattr(head, count))
        items = getattr(head, array)
        size = ffi.sizeof(ffi.typeof(items).item)
        if self.at(offset, kind, number * size) is None:
            return []
        return [items[index] for index in range(number)]
