"""core/vq.c with the device's side in Python, for the tests of the ring walker."""

from __future__ import annotations

from typing import Any, NamedTuple

from vmm.memory import GuestMemory
from vmm.native import ffi, lib


class Popped(NamedTuple):
    """What vq_pop() gave: pieces as (address in this process, length)."""

    head: int
    out: list[tuple[int, int]]
    into: list[tuple[int, int]]
    out_len: int
    in_len: int


class Queue:
    """One struct vq with room for `cap` pieces."""

    def __init__(self, memory: GuestMemory, cap: int = 2 * lib.VQ_MAX_SIZE) -> None:
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
