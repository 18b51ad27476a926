"""virtio-blk: caches turned off, images that change, devices that are reset, paused or moved."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.native.blkrig import (
    ENGINES,
    IN,
    IOERR,
    OK,
    OUT,
    SECTOR,
    SECTORS,
    WCE,
    WRITE_ZEROES,
    BlkRig,
    header,
    sectors,
    segment,
)
from tests.virtiodriver import Chain, DriverRing
from tests.virtiopci import DEVICE, NEEDS_RESET, wait_for
from vmm.native import lib


@pytest.fixture(params=ENGINES)
def rig(request: pytest.FixtureRequest, image: Path) -> Iterator[BlkRig]:
    with BlkRig(image, engine=request.param) as rig:
        rig.start()
        yield rig


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


def test_disk_works_after_resets_under_load(rig: BlkRig) -> None:
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
