"""The driver's side of a split ring (virtio 1.2, 2.7), played by a test in guest memory.

`Arena` hands out guest memory; `DriverRing` lays a ring out in it, makes chains available and
collects what the device has used. The raw writers (`set_desc`, `set_avail_idx` ...) are for drivers
that break the rules.

    arena = Arena(memory)
    ring = DriverRing(arena, 8)
    chain = ring.add([b"request"], [512, 1])
    ring.publish()                       # True: the device wants a notification
    ... the device works ...
    [used] = ring.collect()
    assert used.chain is chain and used.data == b"..."
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

DESC_NEXT, DESC_WRITE, DESC_INDIRECT = 1, 2, 4
NO_INTERRUPT = NO_NOTIFY = 1
DESC_SIZE = 16


class Memory(Protocol):
    """Guest memory, for example a vmm.memory.Accessor."""

    def read(self, gpa: int, length: int) -> bytes: ...
    def write(self, gpa: int, data: bytes) -> None: ...
    def zero(self, gpa: int, length: int) -> None: ...


def need_event(event: int, new: int, old: int) -> bool:
    """Does an index that went from `old` to `new` pass `event`? (2.7.7.2)"""
    return (new - event - 1) % 65536 < (new - old) % 65536


class Arena:
    """Guest memory given out from `base` on, zeroed, never taken back."""

    def __init__(self, memory: Memory, base: int = 0x10_0000) -> None:
        self.memory, self.next = memory, base

    def alloc(self, length: int, align: int = 16) -> int:
        gpa = -(-self.next // align) * align
        self.next = gpa + length
        self.memory.zero(gpa, length)
        return gpa

    def put(self, data: bytes) -> int:
        gpa = self.alloc(len(data))
        self.memory.write(gpa, data)
        return gpa


@dataclass(eq=False)
class Chain:
    """One request: where its pieces lie, (address, length) each."""

    out: list[tuple[int, int]]
    into: list[tuple[int, int]]
    table: int = 0  # address of its indirect table
    head: int = -1
    descriptors: list[int] = field(default_factory=list)


@dataclass
class Used:
    """A chain that the device is done with, and what it wrote there."""

    chain: Chain
    written: int
    data: bytes


class DriverRing:
    """A ring of `size` entries. event_idx, indirect: as negotiated with the device."""

    def __init__(
        self, arena: Arena, size: int, *, event_idx: bool = False, indirect: bool = False
    ) -> None:
        self.arena, self.memory, self.size = arena, arena.memory, size
        self.event_idx, self.indirect = event_idx, indirect
        self.desc = arena.alloc(DESC_SIZE * size, 16)
        self.avail = arena.alloc(6 + 2 * size, 2)
        self.used = arena.alloc(6 + 8 * size, 4)
        self.clear()

    def clear(self) -> None:
        """As after allocation: for a device or queue that was reset."""
        self.memory.zero(self.desc, DESC_SIZE * self.size)
        self.memory.zero(self.avail, 6 + 2 * self.size)
        self.memory.zero(self.used, 6 + 8 * self.size)
        self.free = list(reversed(range(self.size)))
        self.chains: dict[int, Chain] = {}
        self.avail_idx = self.published = self.used_idx = 0

    def config(self) -> dict[str, int]:
        """The fields of struct vq_config."""
        return {
            "desc": self.desc,
            "avail": self.avail,
            "used": self.used,
            "size": self.size,
            "event_idx": self.event_idx,
            "indirect": self.indirect,
        }

    def add(
        self, out: Sequence[bytes] = (), into: Sequence[int] = (), *, indirect: bool = False
    ) -> Chain:
        """A chain of device-readable buffers with this content and of writable ones this long."""
        chain = Chain(
            [(self.arena.put(data), len(data)) for data in out],
            [(self.arena.alloc(length), length) for length in into],
        )
        return self.add_chain(chain, indirect=indirect)

    def add_chain(self, chain: Chain, *, indirect: bool = False) -> Chain:
        """Makes a chain available, also one that was used before. IndexError: the ring is full."""
        rows = [(gpa, length, 0) for gpa, length in chain.out]
        rows += [(gpa, length, DESC_WRITE) for gpa, length in chain.into]
        if indirect:
            chain.table = chain.table or self.arena.alloc(DESC_SIZE * len(rows))
            for i, (gpa, length, flags) in enumerate(rows):
                following = DESC_NEXT if i + 1 < len(rows) else 0
                self.set_desc(i, gpa, length, flags | following, i + 1, table=chain.table)
            rows = [(chain.table, DESC_SIZE * len(rows), DESC_INDIRECT)]
        if len(self.free) < len(rows):
            raise IndexError(f"{len(rows)} descriptors wanted, {len(self.free)} are free")
        chain.descriptors = [self.free.pop() for _row in rows]
        for i, (gpa, length, flags) in enumerate(rows):
            last = i + 1 == len(rows)
            following = 0 if last else chain.descriptors[i + 1]
            self.set_desc(
                chain.descriptors[i], gpa, length, flags | (0 if last else DESC_NEXT), following
            )
        chain.head = chain.descriptors[0]
        self.chains[chain.head] = chain
        self.offer(chain.head)
        return chain

    def offer(self, head: int) -> None:
        """Puts a head into the available ring, unseen by the device before `publish()`."""
        self.set_avail(self.avail_idx, head)
        self.avail_idx = (self.avail_idx + 1) % 65536

    def publish(self) -> bool:
        """Shows what was added; whether the device wants a notification for it."""
        old, self.published = self.published, self.avail_idx
        self.set_avail_idx(self.avail_idx)
        full_barrier()
        if self.event_idx:
            return need_event(self._u16(self.used + 4 + 8 * self.size), self.avail_idx, old)
        return not self._u16(self.used) & NO_NOTIFY

    def collect(self) -> list[Used]:
        """What the device has used since the last time."""
        done = []
        while self.used_idx != self._u16(self.used + 2):
            place = self.used + 4 + 8 * (self.used_idx % self.size)
            head, written = struct.unpack("<II", self.memory.read(place, 8))
            chain = self.chains.pop(head)
            self.free += reversed(chain.descriptors)
            data = b"".join(self.memory.read(gpa, length) for gpa, length in chain.into)
            done.append(Used(chain, written, data[:written]))
            self.used_idx = (self.used_idx + 1) % 65536
        return done

    def interrupts_on(self) -> bool:
        """Asks for an interrupt with the next used chain; True: one is there already."""
        self._interrupts(0, self.used_idx)
        full_barrier()
        return self.used_idx != self._u16(self.used + 2)

    def interrupts_off(self) -> None:
        self._interrupts(NO_INTERRUPT, self.used_idx - 1)

    def _interrupts(self, flags: int, event: int) -> None:
        if self.event_idx:
            self.set_used_event(event)
        else:
            self._put(self.avail, "<H", flags)

    # --- for drivers of any kind

    def set_desc(
        self, index: int, gpa: int, length: int, flags: int = 0, following: int = 0, *,
        table: int = 0,
    ) -> None:  # fmt: skip
        """Descriptor `index` of the ring's table, or of another one."""
        place = (table or self.desc) + DESC_SIZE * index
        self._put(place, "<QIHH", gpa, length, flags, following)

    def set_avail(self, index: int, head: int) -> None:
        self._put(self.avail + 4 + 2 * (index % self.size), "<H", head)

    def set_avail_idx(self, index: int) -> None:
        self._put(self.avail + 2, "<H", index % 65536)

    def set_used_event(self, index: int) -> None:
        self._put(self.avail + 4 + 2 * self.size, "<H", index % 65536)

    def _u16(self, gpa: int) -> int:
        return int.from_bytes(self.memory.read(gpa, 2), "little")

    def _put(self, gpa: int, layout: str, *values: int) -> None:
        self.memory.write(gpa, struct.pack(layout, *values))


def full_barrier() -> None:
    """Orders our stores before our later loads: taking a lock is a locked instruction."""
    lock = threading.Lock()
    with lock:
        pass
