"""virtio-rng: where its bytes come from, how many, and what it makes of odd requests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.native.virtiorig import VirtioRig
from tests.virtiopci import NEEDS_RESET, wait_for
from vmm.errors import HostError
from vmm.virtio.rng import Rng

MS = 1_000_000  # ns


def rng_rig(**settings: Any) -> VirtioRig:
    return VirtioRig(lambda context: Rng("rng0", context, **settings))


@pytest.fixture
def rig() -> Iterator[VirtioRig]:
    with rng_rig() as rig:
        yield rig


def test_buffers_of_any_shape_are_filled(rig: VirtioRig) -> None:
    [ring] = rig.driver.probe(rig.arena)
    for sizes in ([1], [3, 5], [4096, 1, 4096], [100] * 8):
        ring.add([], sizes)
        [used] = rig.exchange(0, ring)
        assert used.written == sum(sizes)
        assert sum(sizes) < 16 or len(set(used.data)) > 8


def test_indirect_table_is_followed(rig: VirtioRig) -> None:
    [ring] = rig.driver.probe(rig.arena)
    ring.add([], [64] * 40, indirect=True)

    assert rig.exchange(0, ring)[0].written == 64 * 40


def test_huge_buffer_is_filled_in_part(rig: VirtioRig) -> None:
    [ring] = rig.driver.probe(rig.arena)
    ring.add([], [1 << 20])

    assert rig.exchange(0, ring)[0].written == 1 << 16


def test_request_without_room_gets_nothing(rig: VirtioRig) -> None:
    [ring] = rig.driver.probe(rig.arena)
    ring.add([b"for you"])

    assert rig.exchange(0, ring)[0].written == 0


def test_full_ring_is_worked_off(rig: VirtioRig) -> None:
    [ring] = rig.driver.probe(rig.arena)
    for _ in range(20):
        for _ in range(8):
            ring.add([], [8])
        assert len(rig.exchange(0, ring, 8)) == 8
    assert rig.device.counters()["random_bytes"] == 20 * 8 * 8


def test_bytes_come_from_the_source_when_it_has_some(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with rng_rig(source=str(fifo)) as rig:
        [ring] = rig.driver.probe(rig.arena)
        ring.add([], [8])
        ring.add([], [8])
        ring.publish()
        rig.driver.notify(0)
        wait_for(lambda: rig.device.counters()["waits"], "the device to wait")
        assert ring.collect() == []

        with open(fifo, "wb", buffering=0) as source:
            source.write(b"abcdefghijk")
            rig.settle()
            rig.step(10 * MS)
            got = ring.collect()
            assert [used.data for used in got] == [b"abcdefgh", b"ijk"]


def test_source_must_be_a_device_or_a_pipe(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"4")
    with pytest.raises(HostError, match="is no source of random bytes"):
        rng_rig(source=str(file))
    with pytest.raises(HostError, match="No such file"):
        rng_rig(source=str(tmp_path / "none"))


def test_source_that_fails_is_the_host_s_fault(tmp_path: Path) -> None:
    with rng_rig(source="/dev/zero") as rig:
        os.dup2(os.open("/", os.O_RDONLY), rig.device._source.number)  # reading it fails
        [ring] = rig.driver.probe(rig.arena)
        ring.add([], [8])
        ring.publish()
        rig.driver.notify(0)
        wait_for(lambda: rig.driver.status & NEEDS_RESET, "the need of a reset")
        wait_for(lambda: rig.events, "the event")

    assert rig.events == [
        ("DEVICE_NEEDS_RESET", {"device": "rng0", "why": "a failure of the host"})
    ]


def test_rate_is_kept_over_periods() -> None:
    with rng_rig(max_bytes=100, period=50) as rig:
        [ring] = rig.driver.probe(rig.arena)
        for _ in range(4):
            ring.add([], [60])
        ring.publish()
        rig.driver.notify(0)
        wait_for(lambda: rig.device.counters()["waits"], "the end of the first quota")
        given = [used.written for used in ring.collect()]
        assert given == [60, 40]

        rig.step(49 * MS)
        assert ring.collect() == []
        rig.step(1 * MS)
        given = [used.written for used in ring.collect()]
        assert given == [60, 40]


def test_reset_ends_the_wait_for_a_new_period() -> None:
    with rng_rig(max_bytes=10, period=50) as rig:
        [ring] = rig.driver.probe(rig.arena)
        ring.add([], [60])
        ring.add([], [60])
        ring.publish()
        rig.driver.notify(0)
        wait_for(lambda: rig.device.counters()["waits"], "the end of the first quota")
        rig.driver.reset()
        ring.collect()
        rig.step(100 * MS)

        assert ring.collect() == []


def test_quota_is_part_of_the_state() -> None:
    with rng_rig(max_bytes=100, period=50) as rig:
        [ring] = rig.driver.probe(rig.arena)
        ring.add([], [60])
        rig.exchange(0, ring)
        rig.pci.pause()
        saved = rig.pci.save()

        assert saved["device"] == {"version": 1, "quota": 40, "period_end": 50 * MS}
        rig.pci.resume()
