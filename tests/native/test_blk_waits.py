"""virtio-blk: resets and pauses come to their end after what is under way, and not before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.native.blkrig import ENGINES, IN, OK, SECTOR
from tests.native.heldrig import NUMBER, HeldRig
from tests.virtiopci import PATIENCE, READY, wait_for
from vmm.native import lib


@pytest.fixture(params=ENGINES)
def rig(
    request: pytest.FixtureRequest, image: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HeldRig]:
    with HeldRig(image, request.param, monkeypatch) as rig:
        yield rig


def test_reset_waits_for_what_is_under_way(rig: HeldRig) -> None:
    rig.read_later()
    rig.driver.set("device_status", 0)
    assert not rig.has_read()
    assert rig.driver.status == READY

    rig.release()

    wait_for(lambda: not rig.driver.status, "the end of the reset")
    assert rig.has_read()
    rig.start()
    assert rig.request(IN, NUMBER, room=SECTOR)[0] == OK


def test_reset_of_a_queue_waits_for_what_is_under_way(rig: HeldRig) -> None:
    rig.read_later()
    rig.driver.set("queue_select", 0)
    rig.driver.set("queue_reset", 1)
    assert not rig.has_read()
    assert rig.driver.get("queue_reset") == 1

    rig.release()

    wait_for(lambda: not rig.driver.get("queue_reset"), "the end of the queue's reset")
    assert rig.has_read()
    rig.ring.clear()
    rig.driver.enable(0, rig.ring, 1)
    assert rig.request(IN, NUMBER, room=SECTOR)[0] == OK


def test_pause_waits_for_what_is_under_way(rig: HeldRig) -> None:
    rig.read_later()
    lib.virtio_ask_pause(rig.core.pointer)
    assert not rig.has_read()
    assert lib.virtio_wait_quiet(rig.core.pointer, 0)

    rig.release()

    assert lib.virtio_wait_quiet(rig.core.pointer, int(1000 * PATIENCE)) == 0
    assert rig.has_read()
    assert rig.ring.collect()
    rig.core.resume()
    assert rig.request(IN, NUMBER, room=SECTOR)[0] == OK
