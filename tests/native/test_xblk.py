"""Xen's block device from the guest's side of its ring: data, sums of errors, hostile rings."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from struct import pack

import pytest

from tests.native.grantrig import PAGE, PERMIT, READONLY, TABLE
from tests.native.xblkrig import (
    BARRIER,
    DATA,
    ERROR,
    FLUSH,
    INDIRECT,
    OKAY,
    READ,
    RING,
    SECTOR,
    SECTORS,
    UNSUPPORTED,
    WRITE,
    Segment,
    XblkRig,
    direct,
    discard,
    indirect,
)
from tests.native.xenringrig import until
from vmm.native import lib


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    path.write_bytes(random.Random(1).randbytes(SECTORS * SECTOR))
    return path


@pytest.fixture
def rig(image: Path) -> Iterator[XblkRig]:
    rig = XblkRig(image)
    yield rig
    rig.close()


@pytest.mark.parametrize("narrow", [False, True], ids=["64-bit", "32-bit"])
@pytest.mark.parametrize("pages", [1, 2, 4])
def test_random_requests_do_as_the_model(image: Path, pages: int, narrow: bool) -> None:
    """The model is the disk's bytes. Requests of a round touch places of their own."""
    rig, dice = XblkRig(image, pages, narrow=narrow), random.Random(pages)
    model = bytearray(image.read_bytes())
    for round_ in range(12):
        wanted: dict[int, bytes] = {}
        places: dict[int, list[Segment]] = {}
        count = dice.randrange(1, rig.size + 1)
        for number in range(count):
            page, sector = DATA + number * 4, number * 32
            segments = [
                (page + index, first := dice.randrange(8), dice.randrange(first, 8))
                for index in range(dice.randrange(1, 4))
            ]
            length = sum(last - first + 1 for _ref, first, last in segments) * SECTOR
            write, at = dice.random() < 0.5, sector * SECTOR
            if write:
                for ref, first, last in segments:
                    data = dice.randbytes((last - first + 1) * SECTOR)
                    rig.memory.write(ref * PAGE + first * SECTOR, data)
                    model[at : at + len(data)] = data
                    at += len(data)
            else:
                wanted[number], places[number] = bytes(model[at : at + length]), segments
            if dice.random() < 0.4:
                table = b"".join(pack("<IBBxx", *segment) for segment in segments)
                rig.memory.write((page + 3) * PAGE, table)
                rig.put(indirect(int(write), sector, len(segments), page + 3, number))
            else:
                rig.put(direct(int(write), sector, segments, number))
        rig.submit()
        assert {status for _op, status in rig.answers(count).values()} == {OKAY}
        for number, data in wanted.items():
            found = b"".join(
                rig.memory.read(ref * PAGE + first * SECTOR, (last - first + 1) * SECTOR)
                for ref, first, last in places[number]
            )
            assert found == data, round_
        rig.arm(rig.seen + 1)
    assert rig.ask(direct(FLUSH, 0, [])) == OKAY
    assert image.read_bytes() == bytes(model)
    assert rig.wires.called()
    rig.close()


@pytest.mark.parametrize("narrow", [False, True], ids=["64-bit", "32-bit"])
def test_longest_indirect_request_and_a_discard(image: Path, narrow: bool) -> None:
    rig = XblkRig(image, narrow=narrow)
    table = b"".join(pack("<IBBxx", DATA + 1 + index, 0, 7) for index in range(256))
    rig.memory.write(DATA * PAGE, table)

    assert rig.ask(indirect(READ, 0, 256, DATA)) == OKAY
    assert rig.memory.read((DATA + 1) * PAGE, 256 * PAGE) == image.read_bytes()[: 256 * PAGE]
    assert rig.ask(discard(8, 64)) == OKAY
    assert image.read_bytes()[8 * SECTOR : 72 * SECTOR] == bytes(64 * SECTOR)
    rig.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (direct(READ, 0, []), ERROR),
        (direct(READ, 0, [(DATA, 0, 0)] * 12), ERROR),
        (direct(READ, 0, [(DATA, 0, 0)] * 255), ERROR),
        (direct(READ, 0, [(DATA, 5, 4)]), ERROR),
        (direct(READ, 0, [(DATA, 0, 8)]), ERROR),
        (direct(READ, 0, [(DATA, 0, 7), (DATA - 1, 0, 7)]), ERROR),
        (direct(READ, 0, [((1 << 32) - 1, 0, 7)]), ERROR),
        (direct(READ, SECTORS, [(DATA, 0, 0)]), ERROR),
        (direct(READ, SECTORS - 7, [(DATA, 0, 7)]), ERROR),
        (direct(WRITE, (1 << 64) - 1, [(DATA, 0, 7)]), ERROR),
        (direct(FLUSH, 0, [(DATA, 0, 7)]), ERROR),
        (direct(BARRIER, 0, []), UNSUPPORTED),
        (direct(77, 0, []), UNSUPPORTED),
        (indirect(READ, 0, 0, DATA), ERROR),
        (indirect(READ, 0, 257, DATA), ERROR),
        (indirect(READ, 0, 65535, DATA), ERROR),
        (indirect(READ, 0, 4, 1), ERROR),
        (indirect(READ, 0, 4, DATA), ERROR),
        (indirect(FLUSH, 0, 4, DATA), ERROR),
        (indirect(INDIRECT, 0, 4, DATA), ERROR),
        (discard(SECTORS, 1), ERROR),
        (discard(1, (1 << 64) - 1), ERROR),
        (discard(0, 8, 1), UNSUPPORTED),
        (discard(5, 0), OKAY),
    ],
)
def test_what_cannot_be_is_refused_and_harms_nothing(
    rig: XblkRig, image: Path, request_: bytes, status: int
) -> None:
    before = image.read_bytes()
    rig.memory.write(DATA * PAGE, b"\xff" * PAGE)

    assert rig.ask(request_) == status
    assert rig.mapped() == 1  # the ring
    assert image.read_bytes() == before
    assert rig.ask(direct(READ, 3, [(DATA, 0, 0)])) == OKAY
    assert rig.memory.read(DATA * PAGE, SECTOR) == before[3 * SECTOR : 4 * SECTOR]


def test_pages_to_be_read_only_are_not_written_and_disks_neither(image: Path) -> None:
    rig = XblkRig(image, read_only=True)
    rig.grant(DATA, PERMIT | READONLY)
    before = image.read_bytes()

    assert rig.ask(direct(READ, 0, [(DATA, 0, 7)])) == ERROR
    assert rig.ask(direct(WRITE, 0, [(DATA, 0, 7)])) == ERROR
    assert rig.ask(discard(0, 8)) == ERROR
    assert image.read_bytes() == before
    rig.close()


@pytest.mark.parametrize("jump", [33, 1 << 31, (1 << 32) - 1])
def test_index_that_jumps_ends_the_service(rig: XblkRig, jump: int) -> None:
    assert rig.ask(direct(READ, 0, [(DATA, 0, 0)])) == OKAY
    rig.submit(1 + jump)
    until(lambda: rig.events == [0])

    assert rig.counters()["broken"] == 1
    rig.put(direct(READ, 0, [(DATA, 0, 0)]))
    kicks = rig.counters()["kicks"]
    rig.submit()
    until(lambda: rig.counters()["kicks"] > kicks)
    assert rig.word(8) == 1
    rig.disconnect()
    rig.connect()
    assert rig.ask(direct(READ, 0, [(DATA, 0, 0)])) == OKAY


def test_rings_that_cannot_be(rig: XblkRig) -> None:
    assert rig.try_connect([RING]) == -16
    rig.disconnect()
    for refs, error in (
        ([], -22), ([RING] * 3, -22), ([RING] * 8, -22), ([1], -22), ([RING, 1], -22),
        ([(1 << 32) - 1], -22),
    ):  # fmt: skip
        assert rig.try_connect(refs) == error
    assert rig.mapped() == 0
    rig.grant(RING, PERMIT, domid=5)
    assert rig.try_connect([RING]) == -1
    rig.grant(RING, PERMIT | READONLY)
    assert rig.try_connect([RING]) == -13
    rig.grant(RING)
    rig.connect()


def test_disconnected_under_way_gives_all_pages_back(rig: XblkRig) -> None:
    for _ in range(20):
        for number in range(32):
            rig.put(direct(READ, number, [(DATA + number, 0, 7)], number))
        rig.submit()
        rig.disconnect()
        assert rig.mapped() == 0
        rig.connect()


def test_pause_takes_nothing(rig: XblkRig) -> None:
    rig.loop.ask(lambda: lib.xblk_pause(rig.pointer, True))
    rig.put(direct(READ, 0, [(DATA, 0, 0)]))
    kicks = rig.counters()["kicks"]
    rig.submit()
    until(lambda: rig.counters()["kicks"] > kicks)
    assert rig.word(8) == 0
    rig.loop.ask(lambda: lib.xblk_pause(rig.pointer, False))
    assert rig.answers(1) == {7: (READ, OKAY)}


def test_guest_that_scribbles_over_ring_and_grants_harms_nobody(image: Path) -> None:
    rig, dice = XblkRig(image, 4), random.Random(8)
    for _ in range(300):
        rig.memory.write(RING * PAGE, pack("<II", dice.randrange(200), dice.randrange(1 << 32)))
        at = dice.randrange(64, 4 * PAGE - 200)
        rig.memory.write(RING * PAGE + at, dice.randbytes(dice.randrange(1, 200)))
        rig.memory.write(TABLE + dice.randrange(RING, DATA + 8) * 8, dice.randbytes(8))
        rig.wires.kick()
        if dice.random() < 0.1:
            rig.disconnect()
            for page in (*range(RING, RING + 4), *range(DATA, DATA + 8)):
                rig.grant(page)
            rig.connect(4)
    rig.close()
