"""virtio-blk: several segments in one request that discards or writes zeros."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.native.blkrig import (
    DISCARD,
    ENGINES,
    IOERR,
    OK,
    SECTOR,
    UNMAP,
    WRITE_ZEROES,
    BlkRig,
    header,
    segment,
)
from tests.native.heldrig import HeldRig
from tests.virtiopci import wait_for

SECTORS = 1024
WHOLE = b"x" * SECTORS * SECTOR


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(WHOLE)
    return path


@pytest.fixture(params=ENGINES)
def rig(request: pytest.FixtureRequest, image: Path) -> Iterator[BlkRig]:
    with BlkRig(image, engine=request.param) as rig:
        rig.start()
        yield rig


def zeros(image: Path) -> list[int]:
    """Sectors of zeros; the others must be as they were."""
    data = image.read_bytes()
    found = [data[at : at + SECTOR] for at in range(0, len(data), SECTOR)]
    assert {*found} <= {bytes(SECTOR), b"x" * SECTOR}
    return [number for number, sector in enumerate(found) if sector == bytes(SECTOR)]


def test_zeroes_of_several_segments_are_all_written(rig: BlkRig, image: Path) -> None:
    segments = segment(3, 2) + segment(100, 1, UNMAP) + segment(7, 0) + segment(SECTORS - 1, 1)
    assert rig.request(WRITE_ZEROES, 0, segments) == (OK, b"")

    assert zeros(image) == [3, 4, 100, SECTORS - 1]
    assert rig.counters()["zeros"] == 3


def test_as_many_segments_as_are_offered_are_discarded(rig: BlkRig, image: Path) -> None:
    chosen = range(0, 16 * 64, 64)
    segments = b"".join(segment(first, 8) for first in chosen)
    before = image.stat().st_blocks
    assert rig.request(DISCARD, 0, segments) == (OK, b"")

    assert zeros(image) == [first + n for first in chosen for n in range(8)]
    assert image.stat().st_blocks == before - 16 * 8
    assert rig.counters()["discards"] == 16


def test_device_that_knows_no_discard_gets_holes(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmm.backends.block.is_device", lambda _file: True)
    for engine in ENGINES:
        with BlkRig(image, engine=engine) as rig:
            rig.start()
            for first in (8, 16):
                assert rig.request(DISCARD, 0, segment(first, 8)) == (OK, b"")
            assert rig.counters()["again"] == 1  # it is asked once
        assert zeros(image) == list(range(8, 24))


def test_segments_of_nothing_are_done(rig: BlkRig, image: Path) -> None:
    assert rig.request(DISCARD, 0, segment(5, 0) * 3) == (OK, b"")
    assert rig.request(WRITE_ZEROES, 0, segment(SECTORS, 0)) == (OK, b"")
    assert zeros(image) == []
    assert rig.counters()["discards"] == rig.counters()["zeros"] == 0


def test_segments_and_other_requests_take_turns(rig: BlkRig, image: Path) -> None:
    """A request's struct is used again for one of another kind."""
    for first in range(0, 64, 4):
        rig.request(WRITE_ZEROES, 0, segment(first, 1) + segment(first + 2, 1))
        rig.request(0, first, room=SECTOR)
        rig.request(4)
    assert zeros(image) == list(range(0, 64, 2))
    assert rig.counters()["zeros"] == 32


def test_disk_that_shrinks_between_segments_stays_small(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its second segment was within the disk when the request came."""
    with HeldRig(image, "threads", monkeypatch) as rig:
        ring = rig.start()
        segments = segment(3, 1) + segment(SECTORS - 1, 1)
        chain = ring.add([header(WRITE_ZEROES, 0), segments], [1])
        ring.publish()
        rig.driver.notify(0)
        wait_for(lambda: rig.counters()["chains"] == 1, "the device to take the request")
        os.truncate(image, SECTORS // 2 * SECTOR)
        rig.device.resize()
        rig.release()

        wait_for(lambda: rig.counters()["rejected"] == 1, "the refusal of the second segment")
        rig.settle()

        assert rig.memory.read(chain.into[0][0], 1) == bytes([IOERR])
    assert image.stat().st_size == SECTORS // 2 * SECTOR
    assert zeros(image) == [3]
