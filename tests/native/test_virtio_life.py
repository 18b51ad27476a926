"""Pause, unplug, reset of the machine, and a loop that stands still, under traffic."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.native.servedrig import Upper, collect, exchange
from tests.native.virtiorig import VirtioRig
from tests.virtiopci import wait_for
from vmm.errors import StateError
from vmm.native import lib


@pytest.fixture
def rig() -> Iterator[VirtioRig]:
    with VirtioRig(lambda context: Upper("upper", context)) as rig:
        yield rig


# --- pause


def test_nothing_is_taken_while_paused_and_all_afterwards(rig: VirtioRig) -> None:
    ring, _ = rig.driver.probe(rig.arena)
    exchange(rig, ring, b"before")
    rig.pci.pause()
    ring.add([b"meanwhile"], [16])
    ring.publish()
    rig.driver.notify(0)
    rig.settle()
    assert ring.collect() == []

    rig.pci.resume()

    assert collect(ring, 1) == [b"MEANWHILE"]


def test_driver_may_reset_and_start_a_paused_device(rig: VirtioRig) -> None:
    rig.driver.probe(rig.arena)
    rig.pci.pause()
    ring, _ = rig.driver.probe(rig.arena)
    ring.add([b"x"], [1])
    ring.publish()
    rig.driver.notify(0)
    rig.settle()
    assert ring.collect() == []

    rig.pci.resume()
    assert collect(ring, 1) == [b"X"]


def test_pause_and_resume_may_be_repeated(rig: VirtioRig) -> None:
    ring, _ = rig.driver.probe(rig.arena)
    for number in range(20):
        rig.pci.pause()
        rig.pci.pause()
        rig.pci.resume()
        rig.pci.resume()
        assert exchange(rig, ring, b"n%d" % number) == b"N%d" % number


def test_device_at_work_is_not_saved(rig: VirtioRig) -> None:
    rig.driver.probe(rig.arena)
    with pytest.raises(StateError, match="pause the machine"):
        rig.pci.save()


# --- reset and unplug by the machine


def test_reset_of_the_machine_is_complete_when_it_returns(rig: VirtioRig) -> None:
    ring, _ = rig.driver.probe(rig.arena)
    exchange(rig, ring, b"x")

    rig.pci.reset()

    ring.add([b"y"], [1])
    ring.publish()
    lib.virtio_again(rig.core.pointer, 0)
    rig.settle()
    assert ring.collect() == []
    assert rig.core.pointer.status == 0


class Traffic:
    """A guest that keeps the device busy on a thread until stopped; whatever it gets is counted."""

    def __init__(self, rig: VirtioRig, ring: Any) -> None:
        self.rig, self.ring, self.got = rig, ring, 0
        self.chain = ring.add([b"data"], [8])
        self.over = False
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        self.ring.publish()
        while not self.over:
            lib.virtio_again(self.rig.core.pointer, 0)
            for used in self.ring.collect():
                self.got += 1
                self.ring.add_chain(used.chain)
                self.ring.publish()
            time.sleep(0)

    def stop(self) -> None:
        self.over = True
        self.thread.join()


def test_unplug_under_traffic_leaves_guest_memory_alone(rig: VirtioRig) -> None:
    ring, _ = rig.driver.probe(rig.arena)
    traffic = Traffic(rig, ring)
    wait_for(lambda: traffic.got > 100, "traffic")
    traffic.stop()
    ring.publish()

    rig.pci.close()

    before = ring.memory.read(ring.used, 64)
    rig.settle()
    assert ring.memory.read(ring.used, 64) == before


def test_function_is_there_until_the_device_has_let_go_of_its_pin() -> None:
    with VirtioRig(lambda context: Upper("upper", context), msix=False) as rig:
        exchange(rig, rig.driver.probe(rig.arena)[0], b"raises the pin")
        halt, function, seen = rig.core.halt, rig.pci.function, []

        def halting() -> None:
            seen.append(function.pointer is not None)
            halt()
            seen.append(function.pointer is not None)

        rig.core.halt = halting
        rig.pci.close()
        assert seen == [True, True]
        assert function.pointer is None


def test_device_closes_while_its_loop_is_not_running() -> None:
    with VirtioRig(lambda context: Upper("upper", context)) as rig:
        ring, _ = rig.driver.probe(rig.arena)
        exchange(rig, ring, b"x")
        rig.loop.stop()
        rig.pci.close()
        assert rig.device.heard[-1] == ("stopped",)
        rig.loop.start()


# --- a loop that stands still


@pytest.mark.parametrize("seconds", [5])
def test_loop_that_stands_still_loses_nothing(rig: VirtioRig, seconds: int) -> None:
    ring, other = rig.driver.probe(rig.arena)
    exchange(rig, ring, b"before")
    with rig.stuck():
        end = time.monotonic() + seconds
        asked = 0
        while time.monotonic() < end:
            if asked < ring.size // 2:
                ring.add([b"n%d" % asked], [8])
                asked += 1
            ring.publish()
            rig.driver.notify(0)
            rig.device.set_config(0, bytes([asked]))
            rig.driver.set("queue_select", 1)
            rig.driver.set("queue_reset", 1)
            time.sleep(0.05)
        assert rig.driver.get("queue_reset") == 1
        assert ring.collect() == []

    assert collect(ring, asked) == [b"N%d" % n for n in range(asked)]
    wait_for(lambda: not rig.driver.get("queue_reset"), "the end of the queue's reset")
    rig.await_interrupt(0)
    rig.await_interrupt(1)
    fresh = rig.driver.ring(rig.arena, 1)
    rig.driver.enable(1, fresh)
    fresh.add([b"x"])
    assert rig.exchange(1, fresh)
    assert other.collect() == []
