"""A virtio function's queues: enabled early, late, wrong or not at all, and reset one by one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.native.virtiorig import VirtioRig, rng_rig, works
from tests.virtiopci import (
    NEEDS_RESET,
    NOTIFY,
    READY,
    RING_RESET,
    wait_for,
)
from vmm.virtio.transport import TransportConfig


@pytest.fixture
def rig() -> Iterator[VirtioRig]:
    with rng_rig() as rig:
        yield rig


# --- queues


def test_kick_before_driver_ok_is_remembered_and_nothing_is_used_before(rig: VirtioRig) -> None:
    driver = rig.driver
    driver.negotiate()
    ring = driver.ring(rig.arena, 0)
    driver.enable(0, ring)
    ring.add([], [16])
    ring.publish()
    driver.notify(0)
    rig.settle()
    assert ring.collect() == []

    driver.start()

    wait_for(ring.collect, "the chain")


def test_queue_that_does_not_exist_has_size_0_and_takes_nothing(rig: VirtioRig) -> None:
    driver = rig.driver
    for select in (1, 0x7FFF, 0xFFFF):
        driver.set("queue_select", select)
        driver.set("queue_size", 4)
        driver.set("queue_msix_vector", 0)
        driver.set("queue_desc", 0x1000)
        driver.set("queue_enable", 1)
        driver.set("queue_reset", 1)

        assert driver.get("queue_select") == select
        for field in ("queue_size", "queue_desc", "queue_enable", "queue_reset"):
            assert driver.get(field) == 0
    assert works(rig)


def test_queue_enabled_before_its_address_is_at_address_0(rig: VirtioRig) -> None:
    driver = rig.driver
    driver.negotiate()
    ring = driver.ring(rig.arena, 0)
    driver.set("queue_enable", 1)

    driver.enable(0, ring)
    driver.start()
    rig.settle()

    assert driver.get("queue_desc") == 0
    assert driver.status == READY
    assert works(rig)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("queue_size", 0),
        ("queue_size", 7),
        ("queue_size", 16),  # a ring that could be, but larger than offered
        ("queue_size", 0x8000),
        ("queue_desc", 0x1001),
        ("queue_desc", 64 << 20),  # behind RAM
        ("queue_desc", 0xE000_0000),  # ECAM
        ("queue_driver", (64 << 20) - 4),  # over the end of RAM
        ("queue_device", 0xFFFF_FFFF_FFFF_FFFC),  # wraps
    ],
)
def test_impossible_queue_needs_a_reset(rig: VirtioRig, field: str, value: int) -> None:
    driver = rig.driver
    driver.negotiate()
    driver.set("config_msix_vector", 0)
    ring = driver.ring(rig.arena, 0)
    driver.set("queue_desc", ring.desc)
    driver.set("queue_driver", ring.avail)
    driver.set("queue_device", ring.used)
    driver.set(field, value)
    driver.set("queue_enable", 1)

    driver.start()

    wait_for(lambda: driver.status & NEEDS_RESET, "the need of a reset")
    rig.await_interrupt(0)
    wait_for(lambda: rig.events, "the event")
    assert rig.events[0][0] == "DEVICE_NEEDS_RESET"
    assert rig.core.counters()["faults"] == 1
    assert works(rig)


def test_ring_that_breaks_the_rules_needs_a_reset_and_is_served_no_more(rig: VirtioRig) -> None:
    driver = rig.driver
    [ring] = driver.probe(rig.arena)
    ring.set_desc(0, rig.arena.alloc(64), 64, flags=1, following=0)  # a chain that ends nowhere
    ring.offer(0)
    ring.publish()
    driver.notify(0)

    wait_for(lambda: driver.status & NEEDS_RESET, "the need of a reset")
    rig.await_interrupt(0)
    ring.set_desc(0, rig.arena.alloc(64), 64, flags=2)
    driver.notify(0)
    rig.settle()
    assert ring.collect() == []
    assert rig.core.counters()["faults"] == 1
    assert works(rig)


def test_writing_0_to_queue_enable_changes_nothing(rig: VirtioRig) -> None:
    [ring] = rig.driver.probe(rig.arena)
    rig.driver.set("queue_select", 0)
    rig.driver.set("queue_enable", 0)

    assert rig.driver.get("queue_enable") == 1
    ring.add([], [16])
    assert rig.exchange(0, ring)


def test_queue_can_be_enabled_while_the_device_runs(rig: VirtioRig) -> None:
    driver = rig.driver
    driver.negotiate()
    driver.start()
    ring = driver.ring(rig.arena, 0)
    ring.add([], [16])
    ring.publish()

    driver.enable(0, ring)

    wait_for(ring.collect, "the chain")


def test_notification_of_a_queue_that_does_not_exist_is_counted() -> None:
    with rng_rig(transport=TransportConfig(notify="mmio")) as rig:
        rig.driver.write(NOTIFY, 4, 1, 2)
        rig.driver.write(NOTIFY, 0xFFC, 1, 2)

        assert rig.core.counters()["ignored"] == 2


# --- reset of one queue


def test_queue_reset_gives_the_queue_back(rig: VirtioRig) -> None:
    driver = rig.driver
    [old] = driver.probe(rig.arena)
    old.add([], [16])
    rig.exchange(0, old)

    driver.reset_queue(0)

    assert driver.get("queue_desc") == 0
    assert driver.get("queue_size") == 8
    assert driver.status == READY
    new = driver.ring(rig.arena, 0, size=4)
    driver.enable(0, new, vector=1)
    rig.interrupts(1)
    new.add([], [16])
    assert rig.exchange(0, new)
    rig.await_interrupt(1)


def test_queue_reset_reads_1_until_it_is_done(rig: VirtioRig) -> None:
    driver = rig.driver
    driver.probe(rig.arena)
    rig.settle()
    with rig.stuck():
        driver.set("queue_select", 0)
        driver.set("queue_reset", 1)

        assert driver.get("queue_reset") == 1
        assert driver.get("queue_enable") == 1
    wait_for(lambda: not driver.get("queue_reset"), "the end of the queue's reset")
    assert driver.get("queue_enable") == 0


def test_queue_reset_that_was_not_negotiated_does_nothing(rig: VirtioRig) -> None:
    [ring] = rig.driver.probe(rig.arena, decline=1 << RING_RESET)
    rig.driver.set("queue_reset", 1)

    assert rig.driver.get("queue_reset") == 0
    ring.add([], [16])
    assert rig.exchange(0, ring)


def test_device_reset_overtakes_the_reset_of_a_queue(rig: VirtioRig) -> None:
    driver = rig.driver
    driver.probe(rig.arena)
    rig.settle()
    with rig.stuck():
        driver.set("queue_reset", 1)
        driver.set("device_status", 0)
    wait_for(lambda: driver.status == 0, "the end of the reset")

    assert works(rig)


def test_queue_of_a_broken_device_can_be_reset(rig: VirtioRig) -> None:
    driver = rig.driver
    [ring] = driver.probe(rig.arena)
    ring.set_avail_idx(999)
    driver.notify(0)
    wait_for(lambda: driver.status & NEEDS_RESET, "the need of a reset")

    driver.reset_queue(0)

    assert driver.status & NEEDS_RESET
    assert works(rig)
