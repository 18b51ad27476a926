"""virtio-blk: resets and pauses come to their end after what is under way, and not before."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.native.blkrig import ENGINES, IN, OK, SECTOR, BlkRig, header
from tests.virtiopci import PATIENCE, READY, wait_for
from vmm.backends import block
from vmm.native import Fd, lib

NUMBER = 7


class HeldRig(BlkRig):
    """The back-end ends no request before release(): io_uring's file is a pipe with nothing in it,
    and workers do not begin."""

    def __init__(self, image: Path, engine: str, patch: pytest.MonkeyPatch) -> None:
        self.gate = threading.Event()
        self.pipe = -1
        work = block.BlockBackend._work

        def work_later(backend: block.BlockBackend) -> None:
            self.gate.wait()
            work(backend)

        patch.setattr(block.BlockBackend, "_work", work_later)
        if engine == "io_uring":
            end, self.pipe = os.pipe2(os.O_CLOEXEC)
            patch.setattr(block, "open_again", lambda *_: Fd(end))
        super().__init__(image, engine=engine)

    def __exit__(self, *exception: object) -> None:
        self.release()
        super().__exit__(*exception)

    def release(self) -> None:
        """What is under way ends, and one request more: sectors with NUMBER in them."""
        self.gate.set()
        if self.pipe >= 0:
            os.write(self.pipe, struct.pack("<Q504x", NUMBER) * 2)
            os.close(self.pipe)
            self.pipe = -1

    def read_later(self) -> None:
        """The back-end has one request."""
        self.ring = self.start()
        self.chain = self.ring.add([header(IN, NUMBER)], [SECTOR, 1])
        self.ring.publish()
        self.driver.notify(0)
        wait_for(lambda: self.counters()["chains"] == 1, "the device to take the request")

    def has_read(self) -> bool:
        """What was asked for is in the guest's memory."""
        self.settle()
        return self.memory.read(self.chain.into[0][0], 8) == struct.pack("<Q", NUMBER)


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
