"""core/virtio/vq.c with the device's side in Python, for the tests of the ring walker."""

from __future__ import annotations

import mmap
from typing import Any, NamedTuple

from tests.native.twins.gmem import READ, READONLY, GmemTwin
from tests.virtiodriver import Arena, DriverRing
from vmm.native import ffi, lib, made

MAP_NORESERVE = 0x4000  # in module mmap from Python 3.13 on

# What ready() arranges: two regions that adjoin, a hole, a ROM, and more than 4 GiB above.
RAM, MORE, ROM, HIGH = 0x10_0000, 0x4000, 0x20_0000, 1 << 32
HOLE = RAM + MORE
SIZE = 8


class PlainMemory:
    """Guest memory as a test arranges it, for the core and for a twin: regions anywhere."""

    def __init__(self, regions: dict[int, int] | None = None) -> None:
        self.pointer = made(lib.gmem_create(), lib.gmem_destroy, "memory")
        self.twin = GmemTwin()
        self._buffers: dict[int, Any] = {}
        for gpa, size in (regions or {}).items():
            self.add(gpa, size)

    def add(self, gpa: int, size: int, flags: int = 0) -> None:
        buffer = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
        hva = ffi.from_buffer(buffer)
        assert lib.gmem_add(self.pointer, gpa, size, ffi.cast("void *", hva), flags) == 0
        assert self.twin.add(gpa, size, _address(hva), flags) == 0
        self._buffers[_address(hva)] = (buffer, hva)  # kept although the region may go

    def remove(self, gpa: int, size: int) -> None:
        assert lib.gmem_remove(self.pointer, gpa, size) == self.twin.remove(gpa, size) == 0

    def _views(self, gpa: int, length: int) -> list[memoryview]:
        pieces = self.twin.at(gpa, length, READ, 64)
        assert not isinstance(pieces, int), f"{length} bytes at {gpa:#x} are not memory"
        return [
            memoryview(ffi.buffer(ffi.cast("char *", hva), size)).cast("B") for hva, size in pieces
        ]

    def read(self, gpa: int, length: int) -> bytes:
        return b"".join(self._views(gpa, length))

    def write(self, gpa: int, data: bytes) -> None:
        for view in self._views(gpa, len(data)):
            view[:], data = data[: len(view)], data[len(view) :]

    def zero(self, gpa: int, length: int) -> None:
        self.write(gpa, bytes(length))


class Popped(NamedTuple):
    """What vq_pop() gave: pieces as (address in this process, length)."""

    head: int
    out: list[tuple[int, int]]
    into: list[tuple[int, int]]
    out_len: int
    in_len: int


class Queue:
    """One struct vq with room for `cap` pieces. memory: a GuestMemory or PlainMemory."""

    def __init__(self, memory: Any, cap: int = 2 * lib.VQ_MAX_SIZE) -> None:
        self.memory = memory
        self.vq = ffi.new("struct vq *")
        self.dev = ffi.new("struct gmem_dev *")
        self.pieces = ffi.new("struct iovec[]", max(cap, 1))
        self.chain = ffi.new("struct vq_chain *", {"piece": self.pieces, "cap": cap})

    def start(self, **config: int) -> int:
        self.config = ffi.new("struct vq_config *", config)
        return int(lib.vq_start(self.vq, self.memory.pointer, self.dev, self.config))

    def stop(self) -> dict[str, int]:
        config = ffi.new("struct vq_config *")
        lib.vq_stop(self.vq, config)
        return {name: getattr(config, name) for name, _ in ffi.typeof(config[0]).fields}

    @property
    def broken(self) -> int:
        return int(self.vq.broken)

    def pop(self) -> Popped | int:
        """The next chain, or vq_pop()'s 0 or error."""
        result = lib.vq_pop(self.vq, self.chain)
        if result != 1:
            return int(result)
        c = self.chain
        pieces = [
            (_address(p.iov_base), p.iov_len) for p in self.pieces[0 : c.out_count + c.in_count]
        ]
        return Popped(c.head, pieces[: c.out_count], pieces[c.out_count :], c.out_len, c.in_len)

    def unpop(self) -> None:
        lib.vq_unpop(self.vq)

    def look_again(self) -> None:
        lib.vq_look_again(self.vq)

    def push(self, head: int, written: int = 0) -> None:
        lib.vq_push(self.vq, head, written)

    def flush(self) -> bool:
        return bool(lib.vq_flush(self.vq))

    def kicks_on(self) -> bool:
        return bool(lib.vq_kicks_on(self.vq))

    def kicks_off(self) -> None:
        lib.vq_kicks_off(self.vq)

    def empty(self) -> bool:
        return bool(lib.vq_empty(self.vq))

    def read(self, popped: Popped) -> bytes:
        """The bytes of the device-readable pieces."""
        buffer = bytearray(popped.out_len + 1)
        count = lib.iov_to_buf(
            self.pieces, len(popped.out), 0, ffi.from_buffer(buffer), len(buffer)
        )
        return bytes(buffer[:count])

    def write(self, popped: Popped, data: bytes, offset: int = 0) -> int:
        """Puts bytes into the device-writable pieces; how many fitted."""
        first = ffi.addressof(self.pieces, len(popped.out))
        return int(lib.iov_from_buf(first, len(popped.into), offset, data, len(data)))

    def counts(self) -> tuple[int, int, int]:
        counts = ffi.new("struct vq_counts *")
        lib.vq_counts(self.vq, counts)
        return counts.chains, counts.bytes, counts.interrupts


def _address(pointer: Any) -> int:
    return int(ffi.cast("uintptr_t", pointer))


def ready(cap: int = 64, at: int = 0, **features: bool) -> tuple[DriverRing, Queue]:
    """A ring of 8 whose indices stand at `at`, and the device's side of it."""
    memory = PlainMemory({0: RAM, RAM: MORE, HIGH: 8 << 30})
    memory.add(ROM, 0x1000, READONLY)
    ring = DriverRing(Arena(memory, 0x1000), SIZE, **features)
    ring.avail_idx = ring.published = ring.used_idx = at
    ring.set_avail_idx(at)
    memory.write(ring.used + 2, at.to_bytes(2, "little"))
    queue = Queue(memory, cap)
    assert queue.start(**ring.config(), last_avail=at, used_idx=at) == 0
    return ring, queue


def popped(queue: Queue) -> Popped:
    chain = queue.pop()
    assert isinstance(chain, Popped)
    return chain


def answer(queue: Queue, data: bytes = b"") -> bool:
    """Takes a chain, writes to it, and gives it back; whether the driver wants an interrupt."""
    chain = popped(queue)
    queue.push(chain.head, queue.write(chain, data))
    return queue.flush()
