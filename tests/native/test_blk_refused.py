"""virtio-blk: requests that cannot be, chains that are none, and disks that are not written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.native.blkrig import (
    DISCARD,
    ENGINES,
    F_DISCARD,
    F_WRITE_ZEROES,
    FLUSH,
    IN,
    IOERR,
    LIFETIME,
    OK,
    OUT,
    SECTOR,
    SECTORS,
    SECURE_ERASE,
    UNMAP,
    UNSUPP,
    WRITE_ZEROES,
    BlkRig,
    header,
    segment,
)
from tests.virtiopci import NEEDS_RESET, wait_for


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
        ("discard of 17 segments", IOERR, [header(DISCARD), segment(0, 1) * 17], 0),
        ("discard of 1 1/2 segments", IOERR, [header(DISCARD), segment(0, 1) + bytes(8)], 0),
        ("discard with a bad end", IOERR, [header(DISCARD), segment(0, 9) + segment(last, 2)], 0),
        (
            "zeroes with a bad end",
            IOERR,
            [header(WRITE_ZEROES), segment(0, 9) + b"\xff" * 12 + bytes(4)],
            0,
        ),
        (
            "zeroes with a bad flag",
            UNSUPP,
            [header(WRITE_ZEROES), segment(0, 9) + segment(9, 9, 2)],
            0,
        ),
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
