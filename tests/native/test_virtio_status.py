"""A virtio function's features and status: what is agreed, what is refused, what a reset undoes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.native.virtiorig import VirtioRig, rng_rig, works
from tests.virtiopci import (
    ACCESS_PLATFORM,
    ACKNOWLEDGE,
    DRIVER,
    DRIVER_OK,
    FAILED,
    NEEDS_RESET,
    READY,
    VERSION_1,
    wait_for,
)
from vmm.virtio.transport import TransportConfig


@pytest.fixture
def rig() -> Iterator[VirtioRig]:
    with rng_rig() as rig:
        yield rig


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


def test_driver_cannot_crowd_out_the_events_of_others(rig: VirtioRig) -> None:
    driver = rig.driver
    with rig.stuck():
        for _ in range(100):
            driver.reset()
            driver.add_status(ACKNOWLEDGE | DRIVER)
            assert not driver.accept(0)
            driver.add_status(FAILED)
    wait_for(lambda: len(rig.events) == 2, "the events")
    assert rig.loop.counters()["refused"] == 0
    assert [name for name, _fields in rig.events] == ["DEVICE_REFUSED", "DEVICE_FAILED"]


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
    for _ in range(50):
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
