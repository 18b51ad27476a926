"""virtio-blk: every kind of request, over both engines, and what it makes of odd ones."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.native.blkrig import (
    DISCARD,
    ENGINES,
    F_CONFIG_WCE,
    F_DISCARD,
    F_FLUSH,
    F_MQ,
    F_RO,
    F_WRITE_ZEROES,
    FLUSH,
    GET_ID,
    IN,
    IOERR,
    LIFETIME,
    OK,
    OUT,
    SECTOR,
    SECURE_ERASE,
    UNMAP,
    UNSUPP,
    WRITE_ZEROES,
    BlkRig,
    header,
    segment,
)  # fmt: skip
from tests.virtiodriver import Chain, DriverRing
from tests.virtiopci import DEVICE, NEEDS_RESET, wait_for
from vmm.native import lib

SECTORS = 4096
WCE = 32  # offset in the configuration space


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Each sector begins with its number."""
    path = tmp_path / "disk.img"
    path.write_bytes(b"".join(struct.pack("<Q504x", n) for n in range(SECTORS)))
    return path


@pytest.fixture(params=ENGINES)
def rig(request: pytest.FixtureRequest, image: Path) -> Iterator[BlkRig]:
    with BlkRig(image, engine=request.param) as rig:
        rig.start()
        yield rig


def sectors(path: Path, first: int, count: int = 1) -> bytes:
    return path.read_bytes()[first * SECTOR : (first + count) * SECTOR]


def test_configuration_tells_the_shape(rig: BlkRig) -> None:
    layout = "<QIIHBBIBBHIBBHIIIIIB"
    raw = bytes(rig.driver.read(DEVICE, at, 1) for at in range(60))
    found = struct.unpack_from(layout, raw)

    assert found[0] == SECTORS
    assert found[2] == 254  # seg_max
    assert found[6] == SECTOR
    assert found[7] == 3  # physical blocks of 4 KiB
    assert found[11] == 1  # writeback
    assert found[13] == 1  # queues
    assert found[14:16] == (1 << 22, 1)
    assert found[17:19] == (1 << 22, 1)


def test_features(image: Path) -> None:
    writable = {F_FLUSH, F_CONFIG_WCE, F_DISCARD, F_WRITE_ZEROES}
    cases = [
        ({}, writable, {F_RO, F_MQ}),
        ({"queues": 4}, {*writable, F_MQ}, {F_RO}),
        ({"read_only": True}, {F_RO, F_FLUSH}, {F_DISCARD, F_WRITE_ZEROES}),
    ]
    for settings, there, missing in cases:
        with BlkRig(image, **settings) as rig:  # type: ignore[arg-type]
            offered = rig.driver.offered()
        assert all(offered >> bit & 1 for bit in there)
        assert not any(offered >> bit & 1 for bit in missing)


def test_reads_give_what_is_there(rig: BlkRig, image: Path) -> None:
    for first, count in ((0, 1), (7, 9), (SECTORS - 1, 1), (0, 2048)):
        status, data = rig.request(IN, first, room=count * SECTOR)
        assert status == OK
        assert data == sectors(image, first, count)


def test_writes_change_what_they_should(rig: BlkRig, image: Path) -> None:
    data = os.urandom(5 * SECTOR)

    assert rig.request(OUT, 11, data) == (OK, b"")
    assert sectors(image, 11, 5) == data
    assert sectors(image, 10) == struct.pack("<Q504x", 10)
    assert sectors(image, 16) == struct.pack("<Q504x", 16)
    assert rig.request(IN, 11, room=5 * SECTOR)[1] == data


def test_header_data_and_status_may_be_cut_anywhere(rig: BlkRig, image: Path) -> None:
    ring, data = rig.rings[0], os.urandom(2 * SECTOR)
    whole = header(OUT, 20) + data
    for cuts in ([1], [15, 17], [16], [3, 9, 600], [16, 528], [20, 21, 22, 1039]):
        pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
        ring.add(pieces, [1], indirect=len(pieces) > 3)
        assert rig.exchange(0, ring)[0].data == b"\0"
        assert sectors(image, 20, 2) == data
        ring.add([header(IN, 20)], [100, 412, 500, 12, 1])
        assert rig.exchange(0, ring)[0].data == data + b"\0"
    ring.add([header(IN, 20)], [700, 325])  # the status ends the last piece of data
    assert rig.exchange(0, ring)[0].data == data + b"\0"


def test_longest_request_that_linux_makes(rig: BlkRig, image: Path) -> None:
    ring = rig.rings[0]
    ring.add([header(IN, 0)], [4096] * 254 + [1], indirect=True)

    assert rig.exchange(0, ring)[0].data == sectors(image, 0, 254 * 8) + b"\0"


def test_full_ring_of_reads(rig: BlkRig) -> None:
    ring = rig.rings[0]
    for round in range(4):
        for n in range(256):
            ring.add([header(IN, n + round)], [SECTOR, 1], indirect=True)
        done = rig.exchange(0, ring, 256)
        assert sorted(struct.unpack_from("<Q", used.data)[0] for used in done) == list(
            range(round, round + 256)
        )
    assert rig.counters()["reads"] == 1024


def test_every_queue_is_served(image: Path) -> None:
    for engine in ENGINES:
        with BlkRig(image, engine=engine, queues=4) as rig:
            rig.start()
            for number, ring in enumerate(rig.rings):
                ring.add([header(IN, number)], [SECTOR, 1])
                [used] = rig.exchange(number, ring)
                assert struct.unpack_from("<Q", used.data)[0] == number
                rig.await_interrupt(number + 1)


def test_flush_and_identity(rig: BlkRig) -> None:
    assert rig.request(FLUSH) == (OK, b"")
    assert rig.request(GET_ID, room=20) == (OK, b"a serial".ljust(20, b"\0"))
    assert rig.request(GET_ID, room=4) == (OK, b"a se")
    assert rig.counters()["flushes"] == 1


def test_discard_and_zeroes(rig: BlkRig, image: Path) -> None:
    assert rig.request(OUT, 0, b"x" * 64 * SECTOR)[0] == OK
    assert rig.request(DISCARD, 0, segment(8, 8)) == (OK, b"")
    assert rig.request(WRITE_ZEROES, 0, segment(17, 3)) == (OK, b"")
    assert rig.request(WRITE_ZEROES, 0, segment(24, 16, UNMAP)) == (OK, b"")
    assert rig.request(DISCARD, 0, segment(0, 0)) == (OK, b"")

    assert sectors(image, 16) == b"x" * SECTOR
    assert sectors(image, 17, 3) == bytes(3 * SECTOR)
    assert sectors(image, 20, 4) == b"x" * 4 * SECTOR
    assert sectors(image, 24, 16) == bytes(16 * SECTOR)
    assert sectors(image, 40) == b"x" * SECTOR
    assert image.stat().st_size == SECTORS * SECTOR
    counters = rig.counters()
    assert (counters["discards"], counters["zeros"]) == (1, 2)


def bad_requests() -> list[tuple[str, int, list[bytes], int]]:
    """Name, status, device-readable pieces, bytes of room."""
    last = SECTORS - 1
    return [
        ("read past the end", IOERR, [header(IN, SECTORS)], SECTOR),
        ("read over the end", IOERR, [header(IN, last)], 2 * SECTOR),
        ("read at a sector that overflows", IOERR, [header(IN, (1 << 64) - 1)], SECTOR),
        ("read at 2^55 sectors", IOERR, [header(IN, 1 << 55)], SECTOR),
        ("read of no whole sector", IOERR, [header(IN, 0)], 511),
        ("read of a sector and a byte", IOERR, [header(IN, 0)], 513),
        ("write past the end", IOERR, [header(OUT, SECTORS), bytes(SECTOR)], 0),
        ("write over the end", IOERR, [header(OUT, last), bytes(2 * SECTOR)], 0),
        ("write of half a sector", IOERR, [header(OUT, 0), bytes(256)], 0),
        ("discard past the end", IOERR, [header(DISCARD), segment(SECTORS, 1)], 0),
        ("discard over the end", IOERR, [header(DISCARD), segment(last, 2)], 0),
        ("discard that wraps", IOERR, [header(DISCARD), segment((1 << 64) - 8, 8)], 0),
        ("discard beyond its limit", IOERR, [header(DISCARD), segment(0, 0xFFFFFFFF)], 0),
        ("discard that unmaps", UNSUPP, [header(DISCARD), segment(0, 1, UNMAP)], 0),
        ("discard with a flag unknown", UNSUPP, [header(DISCARD), segment(0, 1, 1 << 31)], 0),
        ("discard without a segment", IOERR, [header(DISCARD)], 0),
        ("discard of half a segment", IOERR, [header(DISCARD), segment(0, 1)[:8]], 0),
        ("discard of two segments", IOERR, [header(DISCARD), segment(0, 1) * 2], 0),
        ("zeroes past the end", IOERR, [header(WRITE_ZEROES), segment(SECTORS, 8)], 0),
        ("zeroes with a flag unknown", UNSUPP, [header(WRITE_ZEROES), segment(0, 1, 2)], 0),
        ("zeroes of 15 bytes", IOERR, [header(WRITE_ZEROES), segment(0, 1)[:15]], 0),
        ("a kind unknown", UNSUPP, [header(0x7FFF_FFFF)], SECTOR),
        ("an old barrier", UNSUPP, [header(0x8000_0000 | OUT), bytes(SECTOR)], 0),
        ("a SCSI command", UNSUPP, [header(2), bytes(96)], 96),
        ("secure erase", UNSUPP, [header(SECURE_ERASE), segment(0, 1)], 0),
        ("lifetime", UNSUPP, [header(LIFETIME)], 24),
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_requests_that_cannot_be_are_answered_so(engine: str, image: Path) -> None:
    before = image.read_bytes()
    with BlkRig(image, engine=engine) as rig:
        rig.start()
        for name, expected, out, room in bad_requests():
            [used] = rig.send(out, room)
            assert used.data[-1] == expected, name
        assert rig.request(IN, 1, room=SECTOR)[0] == OK
        counters = rig.counters()

    assert image.read_bytes() == before
    assert counters["rejected"] + counters["unsupported"] == len(bad_requests())
    assert counters["faults"] == counters["errors"] == counters["failed"] == 0


def test_empty_requests_are_done(rig: BlkRig) -> None:
    assert rig.request(IN, 0) == (OK, b"")
    assert rig.request(OUT, 0) == (OK, b"")
    assert rig.counters()["reads"] == rig.counters()["writes"] == 0


@pytest.mark.parametrize(
    ("out", "into"),
    [
        ([], [SECTOR, 1]),
        ([header(IN)[:15]], [SECTOR, 1]),
        ([b"\0"], [1]),
        ([header(IN)], []),
        ([header(OUT), bytes(SECTOR)], []),
    ],
    ids=["no header", "short header", "one byte", "nothing to write", "no status"],
)
def test_chain_that_is_no_request_needs_a_reset(
    out: list[bytes], into: list[int], image: Path
) -> None:
    with BlkRig(image) as rig:
        ring = rig.start()
        ring.add(out, into)
        ring.publish()
        rig.driver.notify(0)
        wait_for(lambda: rig.driver.status & NEEDS_RESET, "the need of a reset")
        wait_for(lambda: rig.events, "the event")

        assert rig.events[0][1]["why"] == "a request that the device cannot take"
        rig.driver.reset()
        rig.start()
        assert rig.request(IN, 5, room=SECTOR)[0] == OK


def test_chain_of_more_pieces_than_a_queue_has_breaks_the_ring(image: Path) -> None:
    with BlkRig(image) as rig:
        ring = rig.start()
        ring.add([header(IN)], [2] * 300, indirect=True)
        ring.publish()
        rig.driver.notify(0)
        wait_for(lambda: rig.driver.status & NEEDS_RESET, "the need of a reset")


def test_read_only_disk_is_not_written(image: Path) -> None:
    before = image.read_bytes()
    for engine in ENGINES:
        with BlkRig(image, engine=engine, read_only=True) as rig:
            rig.start()
            assert rig.request(OUT, 0, bytes(SECTOR)) == (IOERR, b"")
            assert rig.request(DISCARD, 0, segment(0, 1)) == (UNSUPP, b"")
            assert rig.request(WRITE_ZEROES, 0, segment(0, 1)) == (UNSUPP, b"")
            assert rig.request(IN, 3, room=SECTOR) == (OK, before[3 * SECTOR : 4 * SECTOR])
            assert rig.request(FLUSH) == (OK, b"")
    assert image.read_bytes() == before


def test_what_was_not_negotiated_is_unsupported(image: Path) -> None:
    with BlkRig(image) as rig:
        rig.start(decline=1 << F_DISCARD | 1 << F_WRITE_ZEROES)
        assert rig.request(DISCARD, 0, segment(0, 1))[0] == UNSUPP
        assert rig.request(WRITE_ZEROES, 0, segment(0, 1))[0] == UNSUPP


def test_image_that_becomes_shorter_fails_requests(rig: BlkRig, image: Path) -> None:
    os.truncate(image, 10 * SECTOR + 100)

    assert rig.request(IN, 9, room=SECTOR)[0] == OK
    assert rig.request(IN, 10, room=SECTOR)[0] == IOERR
    assert rig.request(IN, 20, room=SECTOR)[0] == IOERR
    assert rig.counters()["failed"] == rig.counters()["errors"] == 2
    wait_for(lambda: rig.events, "the event")
    assert rig.events[0] == (
        "BLOCK_IO_ERROR",
        {"device": "disk0", "why": os.strerror(errno.EIO)},
    )
    assert not rig.driver.status & NEEDS_RESET


def test_driver_that_turns_the_cache_off_has_stable_writes(rig: BlkRig, image: Path) -> None:
    rig.request(OUT, 1, b"a" * SECTOR)
    rig.driver.write(DEVICE, WCE, 0, 1)
    wait_for(lambda: rig.counters()["flushes"] == 1, "the flush of what was written before")
    assert rig.driver.read(DEVICE, WCE, 1) == 0
    assert rig.request(OUT, 2, b"b" * SECTOR)[0] == OK
    assert rig.request(WRITE_ZEROES, 0, segment(3, 1))[0] == OK
    assert sectors(image, 1, 3) == b"a" * SECTOR + b"b" * SECTOR + bytes(SECTOR)
    assert rig.counters()["again"] >= 1  # zeros are followed by a flush

    rig.driver.reset()
    assert rig.driver.read(DEVICE, WCE, 1) == 1


def test_only_0_and_1_are_states_of_the_cache(rig: BlkRig) -> None:
    rig.driver.write(DEVICE, WCE, 0xFF, 1)
    assert rig.driver.read(DEVICE, WCE, 1) == 1
    rig.driver.write(DEVICE, 0, 1, 4)  # capacity is not the driver's
    assert rig.driver.read(DEVICE, 0, 4) == SECTORS


def many(ring: DriverRing, sector: int = 0) -> list[Chain]:
    return [ring.add([header(IN, sector)], [64 << 10, 1], indirect=True) for _ in range(64)]


def test_reset_waits_for_what_is_under_way(rig: BlkRig) -> None:
    for _ in range(20):
        ring = rig.rings[0]
        many(ring)
        ring.publish()
        rig.driver.notify(0)
        rig.driver.reset()
        rig.arena.next = 0x10_0000
        rig.start()
        assert rig.request(IN, 1, room=SECTOR)[0] == OK
    assert rig.counters()["faults"] == 0


def test_reset_of_a_queue_leaves_the_others_alone(image: Path) -> None:
    for engine in ENGINES:
        with BlkRig(image, engine=engine, queues=2) as rig:
            rig.start()
            first, second = rig.rings
            for _ in range(10):
                many(first)
                first.publish()
                rig.driver.notify(0)
                rig.driver.reset_queue(0)
                second.add([header(IN, 1)], [SECTOR, 1])
                assert rig.exchange(1, second)[0].data[-1] == OK
                first.clear()
                rig.driver.enable(0, first, 1)
            first.add([header(IN, 2)], [SECTOR, 1])
            assert struct.unpack_from("<Q", rig.exchange(0, first)[0].data)[0] == 2


def test_pause_ends_what_is_under_way_and_takes_nothing_more(rig: BlkRig) -> None:
    ring = rig.rings[0]
    many(ring)
    ring.publish()
    rig.driver.notify(0)
    rig.pci.pause()
    done = len(ring.collect())
    many(ring)
    ring.publish()
    rig.driver.notify(0)
    rig.settle()
    assert ring.collect() == []

    saved = rig.pci.save()
    assert saved["device"] == {"version": 1, "sectors": SECTORS, "read_only": 0}
    rig.pci.resume()
    wait_for(lambda: len(ring.collect()) + done >= 0 and not ring.chains, "all requests")


def test_state_goes_on_in_another_device_with_the_same_disk(image: Path) -> None:
    with BlkRig(image) as rig:
        ring = rig.start()
        rig.driver.write(DEVICE, WCE, 0, 1)
        rig.request(OUT, 4, b"q" * SECTOR)
        rig.pci.pause()
        saved = rig.pci.save()
        rig.driver.reset()
        rig.pci.resume()
        rig.pci.load(saved)
        rig.settle()
        ring.add([header(OUT, 5), b"r" * SECTOR], [1])
        assert rig.exchange(0, ring)[0].data == b"\0"
        assert rig.driver.read(DEVICE, WCE, 1) == 0
        assert ring.size == lib.VBLK_QUEUE_SIZE


def test_growing_image_is_told(rig: BlkRig, image: Path) -> None:
    os.truncate(image, 2 * SECTORS * SECTOR)
    assert rig.device.resize() == 2 * SECTORS * SECTOR
    rig.await_interrupt(0)
    assert rig.driver.read(DEVICE, 0, 4) == 2 * SECTORS
    assert rig.request(IN, SECTORS, room=SECTOR) == (OK, bytes(SECTOR))
    assert rig.device.resize() == 2 * SECTORS * SECTOR
    rig.settle()
    assert rig.interrupts(0) == 0
