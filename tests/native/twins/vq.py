"""The reference for vq.c: virtio 1.2, section 2.7, as a device reads it; the rules of vq.h.

Works on any object with `read(gpa, length)` and `write(gpa, data)` beside a GmemTwin.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from tests.native.twins.gmem import READ, WRITE, GmemTwin

NEXT, WRITABLE, INDIRECT = 1, 2, 4
MAX_SIZE = 1024
MAX_BYTES = 1 << 32


class Memory(Protocol):
    def read(self, gpa: int, length: int) -> bytes: ...
    def write(self, gpa: int, data: bytes) -> None: ...


class Chain(NamedTuple):
    head: int
    out: list[tuple[int, int]]
    into: list[tuple[int, int]]
    out_len: int
    in_len: int


class Broken(Exception):
    """The driver broke a rule; `args[0]` is the errno."""


class Descriptor(NamedTuple):
    gpa: int
    length: int
    flags: int
    next: int


class VqTwin:
    """One queue. Methods answer as the functions of the same name."""

    def __init__(self, memory: Memory, gmem: GmemTwin, cap: int) -> None:
        self.memory, self.gmem, self.cap = memory, gmem, cap
        self.broken = -errno.ESHUTDOWN
        self.chains = self.bytes = self.interrupts = 0  # go on over a restart

    def start(self, **config: int) -> int:
        self.config = config
        self.size = config["size"]
        self.broken = -errno.ESHUTDOWN
        self.last_avail, self.used_idx = config.get("last_avail", 0), config.get("used_idx", 0)
        aligned = config["desc"] % 16 == config["avail"] % 2 == config["used"] % 4 == 0
        power = self.size and not self.size & (self.size - 1)
        in_flight = (self.last_avail - self.used_idx) % 65536
        self.avail_idx = self.last_avail
        self.flushed = self.used_idx
        self.in_flight: set[int] = set()
        if not (power and aligned) or self.size > MAX_SIZE or in_flight > self.size:
            return -errno.EINVAL
        self.broken = self._rings()
        return self.broken

    def stop(self) -> dict[str, int]:
        self.broken = -errno.ESHUTDOWN
        indices = {"last_avail": self.last_avail, "used_idx": self.used_idx}
        return {**self.config, **indices}

    def _rings(self) -> int:
        """0 if each ring lies within one region, else the error."""
        for name, length, direction in (
            ("desc", 16 * self.size, READ),
            ("avail", 6 + 2 * self.size, READ),
            ("used", 6 + 8 * self.size, WRITE),
        ):
            pieces = self.gmem.at(self.config[name], length, direction, 1)
            if isinstance(pieces, int):
                return -errno.EFAULT if pieces == -errno.E2BIG else pieces
        return 0

    def _usable(self) -> bool:
        if not self.broken:
            self.broken = self._rings()
        return not self.broken

    def _u16(self, gpa: int) -> int:
        return int.from_bytes(self.memory.read(gpa, 2), "little")

    def _put16(self, gpa: int, value: int) -> None:
        self.memory.write(gpa, (value % 65536).to_bytes(2, "little"))

    def _look(self) -> int:
        index = self._u16(self.config["avail"] + 2)
        fresh, open_ = (index - self.last_avail) % 65536, (index - self.used_idx) % 65536
        if open_ > self.size or fresh > open_:
            self.broken = -errno.ERANGE
            return self.broken
        self.avail_idx = index
        return fresh

    def empty(self) -> bool:
        return not self._usable() or (self.last_avail == self.avail_idx and self._look() <= 0)

    def pop(self) -> Chain | int:
        if not self._usable():
            return self.broken
        if self.last_avail == self.avail_idx and (fresh := self._look()) <= 0:
            return fresh
        head = self._u16(self.config["avail"] + 4 + 2 * (self.last_avail % self.size))
        try:
            chain = self._chain(head)
        except Broken as error:
            self.broken = -error.args[0]
            return self.broken
        self.in_flight.add(head)
        self.last_avail = (self.last_avail + 1) % 65536
        self.chains += 1
        self.bytes += chain.out_len
        self.popped = chain
        return chain

    def _chain(self, head: int) -> Chain:
        if head >= self.size:
            raise Broken(errno.ENXIO)
        if head in self.in_flight:
            raise Broken(errno.EEXIST)
        parts: dict[bool, list[tuple[int, int]]] = {False: [], True: []}
        lengths = {False: 0, True: 0}
        writing = False
        for d in self._descriptors(head):
            if writing and not d.flags & WRITABLE:
                raise Broken(errno.EPROTO)
            writing = bool(d.flags & WRITABLE)
            room = self.cap - len(parts[False]) - len(parts[True])
            pieces = self.gmem.at(d.gpa, d.length, WRITE if writing else READ, room)
            if isinstance(pieces, int):
                raise Broken(-pieces)
            parts[writing] += pieces
            lengths[writing] += d.length
        if sum(lengths.values()) > MAX_BYTES:
            raise Broken(errno.EOVERFLOW)
        return Chain(head, parts[False], parts[True], lengths[False], lengths[True])

    def _descriptors(self, head: int) -> Iterator[Descriptor]:
        """The chain's buffers, as they come."""
        table, count, index = self.config["desc"], self.size, head
        seen = 0
        nested = False
        while True:
            if seen == count:
                raise Broken(errno.ELOOP)
            d = Descriptor(*struct.unpack("<QIHH", self.memory.read(table + 16 * index, 16)))
            if d.flags & INDIRECT:
                table, count = self._table(d, nested)
                nested, seen, index = True, 0, 0
                continue
            seen += 1
            yield d
            if not d.flags & NEXT:
                return
            if d.next >= count:
                raise Broken(errno.ENXIO)
            index = d.next

    def _table(self, d: Descriptor, nested: bool) -> tuple[int, int]:
        if nested or not self.config["indirect"] or d.flags & NEXT:
            raise Broken(errno.EPROTO)
        if not d.length or d.length % 16 or d.length // 16 > MAX_SIZE:
            raise Broken(errno.EINVAL)
        pieces = self.gmem.at(d.gpa, d.length, READ, 1)
        if isinstance(pieces, int):
            raise Broken(errno.EFAULT if pieces == -errno.E2BIG else -pieces)
        return d.gpa, d.length // 16

    def unpop(self) -> None:
        self.in_flight.discard(self.popped.head)
        self.last_avail = (self.last_avail - 1) % 65536
        self.chains -= 1
        self.bytes -= self.popped.out_len

    def look_again(self) -> None:
        self.avail_idx = self.last_avail

    def push(self, head: int, written: int) -> None:
        if not self._usable():
            return
        place = self.config["used"] + 4 + 8 * (self.used_idx % self.size)
        self.memory.write(place, struct.pack("<II", head, written))
        self.used_idx = (self.used_idx + 1) % 65536
        self.in_flight.discard(head)
        self.bytes += written

    def flush(self) -> bool:
        old, new = self.flushed, self.used_idx
        if old == new or not self._usable():
            return False
        self._put16(self.config["used"] + 2, new)
        self.flushed = new
        if self.config["event_idx"]:
            event = self._u16(self.config["avail"] + 4 + 2 * self.size)
            wanted = (new - event - 1) % 65536 < (new - old) % 65536
        else:
            wanted = not self._u16(self.config["avail"]) & 1
        self.interrupts += wanted
        return wanted

    def kicks_on(self) -> bool:
        if not self._usable():
            return False
        if self.config["event_idx"]:
            self._put16(self.config["used"] + 4 + 8 * self.size, self.last_avail)
        else:
            self._put16(self.config["used"], 0)
        return self.last_avail != self.avail_idx or self._look() > 0

    def kicks_off(self) -> None:
        if not self.config["event_idx"] and self._usable():
            self._put16(self.config["used"], 1)

    def counts(self) -> tuple[int, int, int]:
        return self.chains, self.bytes, self.interrupts
