"""Grants: which pages a back-end may use, and what the guest sees of it (core/xen/gnttab.h)."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from struct import pack, unpack

import pytest

from tests.native.twins.gnttab import Grants
from vmm.memory import GuestMemory
from vmm.native import ffi, lib

SIZE, TABLE = 0x100000, 0x40000
PERMIT, READONLY, READING, WRITING = 1, 4, 8, 16
EPERM, EACCES, EFAULT, EINVAL, EBUSY = -1, -13, -14, -22, -16


class Rig:
    def __init__(self, frames: int = 2) -> None:
        self.memory = GuestMemory(SIZE)
        self.table = ffi.gc(lib.gnttab_create(self.memory.pointer), lib.gnttab_destroy)
        for index in range(frames):
            assert lib.gnttab_place(self.table, index, TABLE + index * 4096) == 0

    def put(self, ref: int, flags: int, domid: int, frame: int) -> None:
        self.memory.write(TABLE + ref * 8, pack("<HHI", flags, domid, frame))

    def get(self, ref: int) -> list[int]:
        return list(unpack("<HHI", self.memory.read(TABLE + ref * 8, 8)))

    def map(self, ref: int, write: bool = True) -> int:
        self.page = ffi.new("void **")
        return int(lib.gnttab_map(self.table, ref, write, self.page))

    def counters(self) -> dict[str, int]:
        counters = ffi.new("struct gnttab_counters *")
        lib.gnttab_counters(self.table, counters)
        return {name: getattr(counters, name) for name in dir(counters)}


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    ffi.release(rig.table)
    rig.memory.close()


def test_random_sequence_does_as_the_twin(rig: Rig) -> None:
    dice, twin = random.Random(11), Grants(1024, SIZE)
    chosen = [0, 1, 511, 512, 1023, 1024, 1 << 15, (1 << 32) - 1]
    for _ in range(4000):
        ref, write = dice.choice(chosen), dice.random() < 0.5
        action = dice.choice(["grant", "map", "map", "unmap", "unmap"])
        if action == "grant" and ref < 1024:
            in_use = READING | WRITING if any(twin.pins[ref]) else 0
            flags = dice.choice([0, PERMIT, PERMIT, PERMIT | READONLY, 2, 3, PERMIT | 0x100])
            flags |= twin.entries[ref][0] & in_use
            domid = dice.choice([0, 0, 0, 1, 0x7FF0])
            frame = dice.choice([1, 2, 255, 256, (1 << 32) - 1])
            twin.entries[ref] = [flags, domid, frame]
            rig.put(ref, flags, domid, frame)
        elif action == "map":
            assert rig.map(ref, write) == twin.map(ref, write)
        elif action == "unmap":
            lib.gnttab_unmap(rig.table, ref, write)
            twin.unmap(ref, write)
        for known in chosen[:5]:
            assert rig.get(known) == twin.entries[known]
    assert rig.counters()["mapped"] == sum(map(sum, twin.pins))


def test_the_page_is_the_guests_own(rig: Rig) -> None:
    rig.put(9, PERMIT, 0, 3)

    assert rig.map(9) == 0
    ffi.memmove(rig.page[0], b"written by a back-end", 21)

    assert rig.memory.read(3 * 4096, 21) == b"written by a back-end"


@pytest.mark.parametrize(
    ("entry", "write", "error"),
    [
        ((0, 0, 3), False, EINVAL),
        ((2, 0, 3), False, EINVAL),
        ((PERMIT, 7, 3), False, EPERM),
        ((PERMIT | READONLY, 0, 3), True, EACCES),
        ((PERMIT, 0, SIZE // 4096), False, EFAULT),
        ((PERMIT, 0, (1 << 32) - 1), True, EFAULT),
    ],
)
def test_what_is_refused_leaves_no_mark(
    rig: Rig, entry: tuple[int, int, int], write: bool, error: int
) -> None:
    rig.put(5, *entry)

    assert rig.map(5, write) == error
    assert rig.get(5) == list(entry)
    assert rig.counters() == {"mapped": 0, "maps": 0, "refused": 1}


def test_frames_that_lie_nowhere_or_outside_memory_grant_nothing(rig: Rig) -> None:
    assert rig.map(2 * 512) == EINVAL
    assert lib.gnttab_place(rig.table, lib.GNTTAB_FRAMES, TABLE) == EINVAL
    lib.gnttab_place(rig.table, 2, SIZE)
    lib.gnttab_place(rig.table, 3, (1 << 64) - 4096)

    assert [rig.map(2 * 512), rig.map(3 * 512)] == [EFAULT, EFAULT]


def test_pins_have_an_end_and_a_reset_forgets_them(rig: Rig) -> None:
    rig.put(5, PERMIT, 0, 3)
    for _ in range(65535):
        assert rig.map(5) == 0
    assert rig.map(5) == EBUSY

    lib.gnttab_reset(rig.table)
    lib.gnttab_unmap(rig.table, 5, True)
    assert rig.counters()["mapped"] == 0
    assert rig.map(5) == EINVAL


@pytest.mark.parametrize("write", [False, True])
def test_what_is_given_back_late_was_mapped_before_the_reset(rig: Rig, write: bool) -> None:
    in_use = PERMIT | READING | (WRITING if write else 0)
    rig.put(5, PERMIT, 0, 3)
    assert rig.map(5, write) == rig.map(5, write) == 0
    lib.gnttab_reset(rig.table)
    lib.gnttab_place(rig.table, 0, TABLE)
    rig.put(5, PERMIT, 0, 4)
    assert rig.map(5, write) == 0

    for _ in range(2):
        lib.gnttab_unmap(rig.table, 5, write)
        assert rig.get(5) == [in_use, 0, 4]
        assert rig.counters()["mapped"] == 1
    lib.gnttab_unmap(rig.table, 5, write)

    assert rig.get(5) == [PERMIT, 0, 4]
    assert rig.counters()["mapped"] == 0


def test_guest_that_scribbles_meanwhile_gets_errors_at_most(rig: Rig) -> None:
    done = threading.Event()

    def scribble() -> None:
        dice = random.Random(3)
        while not done.is_set():
            rig.put(5, dice.randrange(1 << 16), dice.choice([0, 1]), dice.randrange(512))

    guest = threading.Thread(target=scribble)
    guest.start()
    results = set()
    for _ in range(20000):
        results.add(result := rig.map(5))
        if not result:
            lib.gnttab_unmap(rig.table, 5, True)
    done.set()
    guest.join()

    assert results <= {0, EPERM, EACCES, EFAULT, EINVAL, -11}
    assert rig.counters()["mapped"] == 0
