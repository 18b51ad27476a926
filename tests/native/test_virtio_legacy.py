"""The legacy PCI interface: served before DRIVER_OK, reset when the write returns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.native.legacydriver import (
    ACCEPT,
    CONFIG,
    CONFIG_VECTOR,
    FEATURES,
    ISR,
    PFN,
    QUEUE_VECTOR,
    SELECT,
    SIZE,
    STATUS,
    LegacyDriver,
)
from tests.native.servedrig import Upper
from tests.native.virtiorig import SLOT, VirtioRig
from tests.virtiopci import wait_for
from vmm.virtio.transport import TransportConfig

READY = 1 | 2 | 4
CONSOLE_ID = 3


class Old(Upper):
    device_id = CONSOLE_ID
    pci_class = 0x078000


class LegacyRig(VirtioRig):
    def make_driver(self) -> LegacyDriver:
        return LegacyDriver(self._probes["pio"], self._probes["mmio"], SLOT << 3)


def legacy_rig(**more: Any) -> LegacyRig:
    return LegacyRig(
        lambda context: Old("old", context), transport=TransportConfig(legacy=True), **more
    )


@pytest.fixture
def rig() -> Iterator[VirtioRig]:
    with legacy_rig(msix=False) as rig:
        yield rig


def test_function_is_one_that_old_drivers_know(rig: VirtioRig) -> None:
    pci = rig.driver.pci

    assert pci.read(0x00) == 0x1003 << 16 | 0x1AF4
    assert pci.read(0x08) == 0x07800000  # revision 0
    assert pci.read(0x2E, 2) == CONSOLE_ID
    assert [kind for kind, _ in pci.capabilities()] == [0x11]


def test_features_are_one_word_without_those_of_modern_devices(rig: VirtioRig) -> None:
    driver = rig.driver
    assert driver.get(FEATURES, 4) == 1 << 28 | 1 << 29 | 1 << 3

    driver.set(ACCEPT, 1 << 29 | 1 << 5, 4)

    assert driver.get(ACCEPT, 4) == 1 << 29


def test_queue_is_served_before_driver_ok(rig: VirtioRig) -> None:
    driver = rig.driver
    driver.reset()
    driver.set(STATUS, 3, 1)
    ring = driver.ring(rig.arena, 0)
    ring.add([b"early"], [8])
    ring.publish()
    driver.notify(0)

    done: list[Any] = []
    wait_for(lambda: done.extend(ring.collect()) or done, "the chain")
    assert done[0].data == b"EARLY"
    assert driver.get(STATUS, 1) == 3
    wait_for(lambda: max(rig.levels.values(), default=0), "the pin")
    assert driver.get(ISR, 1) == 1
    assert max(rig.levels.values()) == 0


def test_second_queue_joins_later(rig: VirtioRig) -> None:
    driver = rig.driver
    first = driver.ring(rig.arena, 0)
    rig.settle()
    second = driver.ring(rig.arena, 1)
    second.add([b"x"])
    first.add([b"y"], [4])
    driver.set(STATUS, READY, 1)

    assert rig.exchange(1, second)
    assert rig.exchange(0, first)[0].data == b"Y"


def test_event_indices_work_in_the_old_layout(rig: VirtioRig) -> None:
    rig.driver.set(ACCEPT, 1 << 29, 4)
    ring = rig.driver.ring(rig.arena, 0)
    for number in range(50):
        ring.add([b"n%d" % number], [8])
        assert rig.exchange(0, ring)[0].data == b"N%d" % number


def test_reset_is_done_when_the_write_returns(rig: VirtioRig) -> None:
    driver = rig.driver
    ring = driver.ring(rig.arena, 0)
    ring.add([b"1"], [4])
    rig.exchange(0, ring)

    driver.reset()

    assert driver.get(STATUS, 1) == 0
    assert driver.get(PFN, 4) == 0
    ring.add([b"2"], [4])
    ring.publish()
    driver.notify(0)
    rig.settle()
    assert ring.collect() == []
    fresh = driver.ring(rig.arena, 0)
    fresh.add([b"3"], [4])
    assert rig.exchange(0, fresh)[0].data == b"3"


def test_address_0_takes_a_queue_back(rig: VirtioRig) -> None:
    driver = rig.driver
    driver.ring(rig.arena, 0)
    driver.set(PFN, 0, 4)
    wait_for(lambda: driver.get(PFN, 4) == 0, "the end of the queue")

    fresh = driver.ring(rig.arena, 0)
    fresh.add([b"again"], [8])
    assert rig.exchange(0, fresh)[0].data == b"AGAIN"


def test_queue_that_does_not_exist_has_size_0(rig: VirtioRig) -> None:
    driver = rig.driver
    driver.set(SELECT, 2, 2)
    driver.set(PFN, 1, 4)

    assert driver.get(SIZE, 2) == driver.get(PFN, 4) == 0


def test_page_beyond_memory_breaks_the_device_and_nothing_else(rig: VirtioRig) -> None:
    driver = rig.driver
    driver.set(SELECT, 0, 2)
    driver.set(PFN, 0xFFFFFFFF, 4)

    wait_for(lambda: rig.core.counters()["faults"], "the fault")
    driver.reset()
    ring = driver.ring(rig.arena, 0)
    ring.add([b"fine"], [8])
    assert rig.exchange(0, ring)[0].data == b"FINE"


def test_configuration_follows_the_header(rig: VirtioRig) -> None:
    assert bytes(rig.driver.get(CONFIG + n, 1) for n in range(6)) == b"hello\x01"
    rig.driver.set(CONFIG + 5, 7, 1)
    assert rig.driver.get(CONFIG + 5, 1) == 7


def test_with_vectors_the_header_is_longer() -> None:
    with legacy_rig() as rig:
        driver: Any = rig.driver
        assert bytes(driver.get(CONFIG + 4 + n, 1) for n in range(5)) == b"hello"
        assert driver.get(CONFIG_VECTOR, 2) == 0xFFFF
        driver.set(CONFIG_VECTOR, 0, 2)
        driver.set(SELECT, 1, 2)
        driver.set(QUEUE_VECTOR, 99, 2)
        assert driver.get(QUEUE_VECTOR, 2) == 0xFFFF
        driver.set(SELECT, 0, 2)
        driver.set(QUEUE_VECTOR, 2, 2)
        assert driver.get(CONFIG_VECTOR, 2) == 0
        assert driver.get(QUEUE_VECTOR, 2) == 2

        ring = driver.ring(rig.arena, 0)
        ring.add([b"x"], [4])
        rig.exchange(0, ring)
        rig.await_interrupt(2)
        rig.driver.reset()
        assert driver.get(QUEUE_VECTOR, 2) == 0xFFFF


def test_odd_accesses_change_nothing(rig: VirtioRig) -> None:
    driver = rig.driver
    before = rig.core.counters()["ignored"]
    for offset, size in ((0, 4), (8, 2), (9, 1), (14, 4), (16, 1), (17, 1), (18, 2), (19, 1)):
        driver.set(offset, 0xFFFFFFFF, size)

    assert rig.core.counters()["ignored"] == before + 8
    assert driver.get(STATUS, 1) == driver.get(SELECT, 2) == driver.get(PFN, 4) == 0
