"""The bits of event channels in a page that the guest has too (core/xen/evtchn.h)."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from vmm.memory import GuestMemory
from vmm.native import ffi, lib

PAGE, SIZE = 0x5000, 0x100000
EINVAL, EFAULT = -22, -14
PENDING, MASKED = 1, 2
LAYOUTS = {True: (0x800, 0xA00, 4096), False: (0x800, 0x880, 1024)}  # pending, mask, ports


class Bits:
    """One shared page in one layout, and the words of its bitmaps as the guest sees them."""

    def __init__(self, memory: GuestMemory, wide: bool, page: int = PAGE) -> None:
        self.accessor = memory.accessor("test")
        self.pointer = ffi.new("struct evtchn *")
        self.pointer.memory, self.pointer.dev = memory.pointer, self.accessor.dev
        self.pointer.page, self.pointer.wide = page, wide
        self.pending, self.mask, self.ports = LAYOUTS[wide]

    def put(self, bitmap: int, port: int, value: bool) -> None:
        at = PAGE + bitmap + port // 8
        old = self.accessor.read(at, 1)[0]
        new = old | 1 << port % 8 if value else old & ~(1 << port % 8)
        self.accessor.write(at, bytes([new]))

    def get(self, bitmap: int, port: int) -> bool:
        return bool(self.accessor.read(PAGE + bitmap + port // 8, 1)[0] >> port % 8 & 1)


@pytest.fixture
def memory() -> Iterator[GuestMemory]:
    memory = GuestMemory(SIZE)
    yield memory
    memory.close()


@pytest.mark.parametrize("wide", [True, False])
def test_random_sequence_does_as_the_model(memory: GuestMemory, wide: bool) -> None:
    bits, dice = Bits(memory, wide), random.Random(7)
    pending: set[int] = set()
    masked: set[int] = set()
    chosen = [0, 1, 31, 32, 63, 64, bits.ports - 1]
    for _ in range(3000):
        port = dice.choice(chosen)
        action = dice.choice(["raise", "mask", "unmask", "clear", "take", "look"])
        if action == "raise":
            bits.put(bits.pending, port, True)
            pending.add(port)
        elif action == "mask":
            bits.put(bits.mask, port, True)
            masked.add(port)
        elif action == "look":
            wanted = PENDING * (port in pending) | MASKED * (port in masked)
            assert lib.evtchn_look(bits.pointer, port) == wanted
        elif action == "unmask":
            assert lib.evtchn_unmask(bits.pointer, port) == (port in pending)
            masked.discard(port)
            pending.discard(port)
        elif action == "clear":
            assert lib.evtchn_clear_pending(bits.pointer, port) == (port in pending)
            pending.discard(port)
        else:
            taken = port in pending and port not in masked
            assert lib.evtchn_take(bits.pointer, port) == taken
            if taken:
                pending.discard(port)
        assert [n for n in chosen if bits.get(bits.pending, n)] == sorted(pending)
        assert [n for n in chosen if bits.get(bits.mask, n)] == sorted(masked)


CALLS = ("evtchn_look", "evtchn_take", "evtchn_unmask", "evtchn_clear_pending")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("wide", [True, False])
def test_ports_beyond_the_bitmaps_are_refused(memory: GuestMemory, wide: bool, call: str) -> None:
    bits = Bits(memory, wide)
    bits.accessor.write(PAGE, b"\xff" * 4096)

    for port in (bits.ports, bits.ports + 31, 1 << 31, (1 << 32) - 1):
        assert getattr(lib, call)(bits.pointer, port) == EINVAL
    assert bits.accessor.read(PAGE, 4096) == b"\xff" * 4096


@pytest.mark.parametrize("call", CALLS)
def test_page_that_is_no_memory_is_refused(memory: GuestMemory, call: str) -> None:
    bits = Bits(memory, True, page=SIZE)

    assert getattr(lib, call)(bits.pointer, 1) == EFAULT
