"""A guest's side of Xen's byte rings: a page, two indices for each direction, two eventfds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from struct import pack, unpack

from vmm.memory import GuestMemory

PAGE, SIZE = 0x8000, 0x100000
PATIENCE = 20


class Direction:
    """One ring of the page: `data` its offset, `cons` and `prod` those of its indices."""

    def __init__(self, memory: GuestMemory, data: int, size: int, cons: int, prod: int) -> None:
        self.memory, self.data, self.size = memory, data, size
        self.cons_at, self.prod_at = PAGE + cons, PAGE + prod

    def _get(self, at: int) -> int:
        return int(unpack("<I", self.memory.read(at, 4))[0])

    @property
    def cons(self) -> int:
        return self._get(self.cons_at)

    @property
    def prod(self) -> int:
        return self._get(self.prod_at)

    def set_cons(self, value: int) -> None:
        self.memory.write(self.cons_at, pack("<I", value & 0xFFFFFFFF))

    def set_prod(self, value: int) -> None:
        self.memory.write(self.prod_at, pack("<I", value & 0xFFFFFFFF))

    def put(self, data: bytes) -> int:
        """As much as there is room for; how much that was."""
        prod = self.prod
        data = data[: self.size - ((prod - self.cons) & 0xFFFFFFFF)]
        for index, byte in enumerate(data):
            at = PAGE + self.data + ((prod + index) & (self.size - 1))
            self.memory.write(at, bytes([byte]))
        self.set_prod(prod + len(data))
        return len(data)

    def get(self, most: int = 1 << 20) -> bytes:
        cons = self.cons
        count = min((self.prod - cons) & 0xFFFFFFFF, most)
        assert count <= self.size
        page = self.memory.read(PAGE + self.data, self.size)
        found = bytes(page[(cons + index) & (self.size - 1)] for index in range(count))
        self.set_cons(cons + count)
        return found


class Wires:
    """The event channel's two eventfds."""

    def __init__(self) -> None:
        flags = os.EFD_NONBLOCK | os.EFD_CLOEXEC
        self.kick_fd, self.call_fd = os.eventfd(0, flags), os.eventfd(0, flags)

    def kick(self) -> None:
        os.eventfd_write(self.kick_fd, 1)

    def called(self) -> bool:
        try:
            return os.eventfd_read(self.call_fd) > 0
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self.kick_fd)
        os.close(self.call_fd)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)
