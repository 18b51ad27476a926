"""How a virtio function interrupts: by vectors, or by its pin and its interrupt status."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.native.virtiorig import VirtioRig, rng_rig
from tests.virtiopci import (
    NO_VECTOR,
    wait_for,
)
from vmm.native import lib


@pytest.fixture
def rig() -> Iterator[VirtioRig]:
    with rng_rig() as rig:
        yield rig


def test_vectors_that_do_not_exist_read_back_as_none(rig: VirtioRig) -> None:
    driver = rig.driver
    for field in ("config_msix_vector", "queue_msix_vector"):
        driver.set(field, 1)
        assert driver.get(field) == 1
        driver.set(field, 2)
        assert driver.get(field) == NO_VECTOR


def test_queue_without_a_vector_is_silent(rig: VirtioRig) -> None:
    [ring] = rig.driver.probe(rig.arena)
    rig.driver.set("queue_msix_vector", NO_VECTOR)
    ring.add([], [16])
    rig.exchange(0, ring)
    rig.settle()

    assert rig.interrupts(0) == rig.interrupts(1) == 0
    assert rig.driver.isr() == 0


def pin(rig: VirtioRig) -> int:
    return max(rig.levels.values(), default=0)


def test_pin_is_high_until_the_interrupt_status_is_read(pin_rig: VirtioRig) -> None:
    rig = pin_rig
    [ring] = rig.driver.probe(rig.arena)
    ring.add([], [16])
    rig.exchange(0, ring)
    wait_for(lambda: pin(rig), "the pin")

    assert rig.driver.isr() == 1
    assert pin(rig) == 0
    assert rig.driver.isr() == 0


def test_pin_tells_of_the_configuration_too(pin_rig: VirtioRig) -> None:
    rig = pin_rig
    rig.driver.probe(rig.arena)
    rig.settle()
    lib.virtio_needs_reset(rig.core.pointer, lib.VIRTIO_FAULT_HOST)

    assert rig.driver.isr() == 2


def test_reset_lowers_the_pin(pin_rig: VirtioRig) -> None:
    rig = pin_rig
    [ring] = rig.driver.probe(rig.arena)
    ring.add([], [16])
    rig.exchange(0, ring)
    wait_for(lambda: pin(rig), "the pin")

    rig.driver.reset()

    assert pin(rig) == 0
    assert rig.driver.isr() == 0
