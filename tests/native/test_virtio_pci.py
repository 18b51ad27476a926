"""What a driver finds of the PCI transport, which widths its registers take, who is bus master."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.native.virtiorig import RNG_ID, VirtioRig, rng_rig, works
from tests.virtiopci import (
    CAP_VENDOR,
    COMMON,
    IO,
    ISR,
    MEMORY,
    NO_VECTOR,
    NOTIFY,
    wait_for,
)
from vmm.virtio.transport import TransportConfig


@pytest.fixture
def rig() -> Iterator[VirtioRig]:
    with rng_rig() as rig:
        yield rig


# --- what a driver finds


def test_function_says_what_it_is(rig: VirtioRig) -> None:
    config = rig.driver.config

    assert config.read(0x00) == (0x1040 + RNG_ID) << 16 | 0x1AF4
    assert config.read(0x08) >> 8 == 0x00FF00
    assert config.read(0x08, 1) >= 1  # a modern device (4.1.2.1)
    assert config.read(0x3D, 1) == 1


def test_structures_are_where_the_capabilities_say(rig: VirtioRig) -> None:
    assert set(rig.driver.places) == {COMMON, NOTIFY, ISR}  # it has no configuration of its own
    assert rig.driver.access_cap
    assert rig.driver.multiplier == 4
    assert rig.driver.places[COMMON].length == 60


def test_registers_start_with_their_defaults(rig: VirtioRig) -> None:
    driver = rig.driver

    assert driver.status == 0
    assert driver.get("num_queues") == 1
    assert driver.get("config_msix_vector") == NO_VECTOR
    assert driver.get("queue_size") == 8
    assert driver.get("queue_msix_vector") == NO_VECTOR
    assert driver.get("queue_enable") == driver.get("queue_reset") == driver.get("queue_desc") == 0


def test_notifications_are_ports_first_and_memory_second(rig: VirtioRig) -> None:
    config = rig.driver.config
    structures = [at for kind, at in config.capabilities() if kind == CAP_VENDOR]
    notify = [at for at in structures if config.read(at + 3, 1) == NOTIFY]

    assert [config.bar(config.read(at + 4, 1))[0] for at in notify] == ["pio", "mmio"]
    [ring] = rig.driver.probe(rig.arena)
    for place in notify:
        ring.add([], [8])
        ring.publish()
        space, base = config.bar(config.read(place + 4, 1))
        rig.bar(config.read(place + 4, 1), config.read(place + 8), 2, 0)
        wait_for(ring.collect, f"what was announced by {space} {base:#x}")


@pytest.mark.parametrize("notify", ["pio", "mmio"])
def test_driver_gets_random_bytes_and_an_interrupt(notify: str) -> None:
    with rng_rig(transport=TransportConfig(notify=notify)) as rig:
        assert rig.driver.config.bar(2)[0] == "pio" if notify == "pio" else True
        assert works(rig)

        rig.await_interrupt(1)
        assert rig.interrupts(0) == 0
        assert rig.core.driven()


# --- widths and offsets that no driver should use


def test_registers_read_the_same_in_bytes(rig: VirtioRig) -> None:
    driver = rig.driver
    driver.probe(rig.arena)
    whole = b"".join(driver.read(COMMON, at, 4).to_bytes(4, "little") for at in range(0, 60, 4))

    assert bytes(driver.read(COMMON, at, 1) for at in range(60)) == whole
    assert driver.read(COMMON, 0x20, 8) == int.from_bytes(whole[0x20:0x28], "little")


def test_reads_beyond_the_structure_give_ones(rig: VirtioRig) -> None:
    assert rig.driver.read(COMMON, 60, 4) == 0xFFFF_FFFF
    assert rig.driver.read(COMMON, 58, 4) == 0xFFFF_FFFF
    assert rig.driver.read(COMMON, 0xFFC, 4) == 0xFFFF_FFFF
    assert rig.driver.read(ISR, 1, 1) == 0xFF


def test_writes_of_odd_width_or_place_are_ignored(rig: VirtioRig) -> None:
    driver = rig.driver
    driver.negotiate()
    before = [driver.read(COMMON, at, 1) for at in range(60)]
    widths = {offset: size for offset, size in [(0, 4), (8, 4), (12, 4), (16, 2), (20, 1), (22, 2)]}
    widths |= {24: 2, 26: 2, 28: 2, 58: 2} | dict.fromkeys(range(32, 56, 4), 4)
    count = 0
    for at in range(0, 64):
        for size in (1, 2, 4, 8):
            eight = size == 8 and at in (32, 40, 48)
            if widths.get(at) != size and not eight and at + size <= 64:
                driver.write(COMMON, at, 0xFFFF_FFFF_FFFF_FFFF, size)
                count += 1

    assert [driver.read(COMMON, at, 1) for at in range(60)] == before
    assert rig.core.counters()["ignored"] == count


def test_address_may_be_written_in_one_piece(rig: VirtioRig) -> None:
    rig.driver.write(COMMON, 32, 0x1_2345_6000, 8)

    assert rig.driver.get("queue_desc") == 0x1_2345_6000


def test_halves_of_an_address_are_independent(rig: VirtioRig) -> None:
    rig.driver.write(COMMON, 36, 0x11, 4)
    rig.driver.write(COMMON, 32, 0x22, 4)

    assert rig.driver.get("queue_desc") == 0x11_0000_0022


# --- bus mastering


def test_device_uses_no_memory_while_it_is_no_bus_master(rig: VirtioRig) -> None:
    [ring] = rig.driver.probe(rig.arena)
    rig.settle()
    rig.driver.config.write(0x04, IO | MEMORY, 2)
    ring.add([], [16])
    ring.publish()
    rig.driver.notify(0)
    rig.settle()
    assert ring.collect() == []

    rig.driver.config.write(0x04, IO | MEMORY | 4, 2)
    wait_for(ring.collect, "the chain")  # which was notified
