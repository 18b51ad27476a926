"""The PCI transport through its registers: the steps of a driver, and drivers that break them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.native.virtiorig import VirtioRig
from tests.virtiopci import (
    ACCESS_PLATFORM,
    ACKNOWLEDGE,
    CAP_VENDOR,
    COMMON,
    DRIVER,
    DRIVER_OK,
    FAILED,
    IO,
    ISR,
    MEMORY,
    NEEDS_RESET,
    NO_VECTOR,
    NOTIFY,
    READY,
    RING_RESET,
    VERSION_1,
    wait_for,
)
from vmm.native import lib
from vmm.virtio.rng import Rng
from vmm.virtio.transport import TransportConfig

RNG_ID = 4


def rng_rig(**more: Any) -> VirtioRig:
    return VirtioRig(lambda context: Rng("rng0", context), **more)


@pytest.fixture
def rig() -> Iterator[VirtioRig]:
    with rng_rig() as rig:
        yield rig


def works(rig: VirtioRig) -> bool:
    """A driver that starts anew gets its random bytes."""
    [ring] = rig.driver.probe(rig.arena)
    ring.add([], [64])
    [used] = rig.exchange(0, ring)
    return used.written == 64 and used.data != bytes(64)


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


# --- features


def test_offered_features_beyond_bit_63_are_none(rig: VirtioRig) -> None:
    rig.driver.set("device_feature_select", 2)

    assert rig.driver.get("device_feature") == 0


def test_driver_that_declines_version_1_is_refused_and_told_of_once(
    rig: VirtioRig, capfd: pytest.CaptureFixture[str]
) -> None:
    driver = rig.driver
    driver.reset()
    driver.add_status(ACKNOWLEDGE | DRIVER)

    assert not driver.accept(driver.offered() & ~(1 << VERSION_1))

    assert driver.status == ACKNOWLEDGE | DRIVER
    wait_for(lambda: rig.events, "the event")
    why = "it declined VIRTIO_F_VERSION_1"
    assert rig.events == [
        ("DEVICE_REFUSED", {"device": "rng0", "why": why, "features": [VERSION_1]})
    ]
    lines = [line for line in capfd.readouterr().err.splitlines() if "driver_refused" in line]
    assert len(lines) == 1
    assert "it declined VIRTIO_F_VERSION_1" in lines[0]
    assert rig.core.counters()["refused"] == 1


def test_refused_driver_may_think_again(rig: VirtioRig) -> None:
    driver = rig.driver
    driver.reset()
    driver.add_status(ACKNOWLEDGE | DRIVER)
    assert not driver.accept(0)

    assert driver.accept(1 << VERSION_1)


def test_feature_that_was_not_offered_is_refused(rig: VirtioRig) -> None:
    driver = rig.driver
    driver.reset()
    driver.add_status(ACKNOWLEDGE | DRIVER)

    assert not driver.accept(driver.offered() | 1 << 5)


def test_access_platform_is_offered_on_request_only(rig: VirtioRig) -> None:
    assert not rig.driver.offered() >> ACCESS_PLATFORM & 1
    with rng_rig(transport=TransportConfig(platform=True)) as other:
        assert other.driver.offered() >> ACCESS_PLATFORM & 1
        assert works(other)


def test_driver_that_declines_access_platform_is_refused() -> None:
    with rng_rig(transport=TransportConfig(platform=True)) as rig:
        driver = rig.driver
        driver.reset()
        driver.add_status(ACKNOWLEDGE | DRIVER)

        assert not driver.accept(driver.offered() & ~(1 << ACCESS_PLATFORM))

        wait_for(lambda: rig.events, "the event")
        assert rig.events[0][1]["features"] == [ACCESS_PLATFORM]


def test_features_are_final_once_agreed(rig: VirtioRig) -> None:
    driver = rig.driver
    driver.negotiate()
    before = driver.get("driver_feature")

    driver.set("driver_feature", 0)

    assert driver.get("driver_feature") == before
    assert rig.core.counters()["ignored"] == 1


# --- status


def test_status_bits_are_only_ever_added(rig: VirtioRig) -> None:
    driver = rig.driver
    driver.reset()
    driver.set("device_status", ACKNOWLEDGE)
    driver.set("device_status", DRIVER)

    assert driver.status == ACKNOWLEDGE | DRIVER


def test_driver_cannot_set_needs_reset(rig: VirtioRig) -> None:
    rig.driver.set("device_status", ACKNOWLEDGE | NEEDS_RESET)

    assert rig.driver.status == ACKNOWLEDGE


def test_driver_ok_needs_features_ok(rig: VirtioRig) -> None:
    rig.driver.reset()

    assert rig.driver.add_status(ACKNOWLEDGE | DRIVER | DRIVER_OK) == ACKNOWLEDGE | DRIVER
    assert not rig.core.driven()


def test_driver_ok_twice_is_harmless(rig: VirtioRig) -> None:
    rig.driver.probe(rig.arena)
    rig.driver.start()
    rig.settle()

    assert rig.core.counters()["starts"] == 1


def test_driver_that_gives_up_is_heard(rig: VirtioRig) -> None:
    rig.driver.reset()
    rig.driver.add_status(ACKNOWLEDGE | FAILED)

    wait_for(lambda: rig.events, "the event")
    assert rig.events == [("DEVICE_FAILED", {"device": "rng0"})]


def test_driver_that_gives_up_all_the_time_is_not_heard_all_the_time(rig: VirtioRig) -> None:
    for _ in range(500):
        rig.driver.set("device_status", ACKNOWLEDGE | FAILED)
        rig.driver.reset()
    rig.settle()

    assert len(rig.events) == 8


def test_reset_of_a_device_that_never_ran_needs_no_loop(rig: VirtioRig) -> None:
    rig.loop.stop()
    rig.driver.negotiate()
    rig.driver.set("device_status", 0)

    assert rig.driver.status == 0
    assert rig.driver.get("driver_feature") == 0


def test_reset_shows_the_old_status_until_the_loop_has_done_it(rig: VirtioRig) -> None:
    driver = rig.driver
    [ring] = driver.probe(rig.arena)
    rig.settle()
    with rig.stuck():
        driver.set("device_status", 0)

        assert driver.status == READY
        driver.set("device_status", ACKNOWLEDGE)  # too early: frozen
        driver.set("queue_desc", 0x1234)
        assert driver.get("queue_desc") == ring.desc
    wait_for(lambda: driver.status == 0, "the end of the reset")
    assert driver.get("queue_enable") == driver.get("queue_desc") == 0
    assert works(rig)


def test_reset_before_the_loop_took_notice_of_the_start(rig: VirtioRig) -> None:
    with rig.stuck():
        rig.driver.probe(rig.arena)
        rig.driver.set("device_status", 0)
    wait_for(lambda: rig.driver.status == 0, "the end of the reset")

    assert rig.core.counters()["resets"] == 2
    assert works(rig)


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


# --- interrupts


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


@pytest.fixture
def pin_rig() -> Iterator[VirtioRig]:
    """Without vectors: interrupts come on the function's pin."""
    with rng_rig(msix=False) as rig:
        yield rig


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
    rig.driver.notify(0)
    wait_for(ring.collect, "the chain")


# --- the window in configuration space


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
