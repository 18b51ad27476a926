"""The window in configuration space through which a virtio function's registers are reached."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.native.virtiorig import VirtioRig, rng_rig
from tests.virtiopci import (
    ACKNOWLEDGE,
    wait_for,
)


@pytest.fixture
def rig() -> Iterator[VirtioRig]:
    with rng_rig() as rig:
        yield rig


def aim(rig: VirtioRig, offset: int, length: int, bar: int = 0) -> int:
    """Where the window's data is."""
    cap = rig.driver.access_cap
    rig.driver.config.write(cap + 4, bar, 1)
    rig.driver.config.write(cap + 8, offset)
    rig.driver.config.write(cap + 12, length)
    return int(cap) + 16


def test_window_reads_and_writes_registers(rig: VirtioRig) -> None:
    config = rig.driver.config
    data = aim(rig, 20, 1)
    config.write(data, ACKNOWLEDGE, 1)

    assert rig.driver.status == ACKNOWLEDGE
    assert config.read(data, 1) == ACKNOWLEDGE
    data = aim(rig, 18, 2)
    assert config.read(data, 2) == 1


def test_window_rings_the_doorbell(rig: VirtioRig) -> None:
    [ring] = rig.driver.probe(rig.arena)
    ring.add([], [16])
    ring.publish()
    rig.driver.config.write(aim(rig, 0x3000, 2), 0, 2)

    wait_for(ring.collect, "the chain")


@pytest.mark.parametrize(
    ("offset", "length", "bar"),
    [
        (20, 0, 0),
        (20, 3, 0),
        (20, 8, 0),
        (20, 0x8000_0000, 0),
        (21, 2, 0),  # not aligned to its length
        (20, 1, 1),
        (20, 1, 5),
        (20, 1, 255),
        (0x4000, 4, 0),
        (0x8000, 4, 0),  # vectors are not reached this way
        (0xFFFF_FFFC, 4, 0),
    ],
)
def test_window_aimed_elsewhere_reads_ones_and_writes_nothing(
    rig: VirtioRig, offset: int, length: int, bar: int
) -> None:
    data = aim(rig, offset, length, bar)
    before = rig.core.counters()["ignored"]
    rig.driver.config.write(data, ACKNOWLEDGE)

    assert rig.driver.config.read(data) == 0xFFFF_FFFF
    assert rig.driver.status == 0
    assert rig.core.counters()["ignored"] == before + 2


def test_window_is_not_used_by_looking_at_its_aim(pin_rig: VirtioRig) -> None:
    rig = pin_rig
    [ring] = rig.driver.probe(rig.arena)
    ring.add([], [16])
    rig.exchange(0, ring)
    rig.settle()
    aim(rig, 0x1000, 1)
    for at in range(0, 16, 4):
        rig.driver.config.read(rig.driver.access_cap + at)

    assert rig.driver.isr() == 1


def test_reset_of_the_machine_writes_nothing_through_the_window(rig: VirtioRig) -> None:
    data = aim(rig, 20, 1)
    rig.driver.config.write(data, ACKNOWLEDGE, 1)

    rig.pci.reset()

    assert rig.pci.core.pointer.status == 0
