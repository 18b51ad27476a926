"""core/irq/pit.c: the 8254 against a twin that counts every clock, and by the data sheet."""

from __future__ import annotations

import random

import pytest

from tests.native.devrig import DeviceRig, Mix, compare
from tests.native.pitrig import CONTROL, MS, US, PitRig
from tests.native.twins.pit import COUNTERS, PORT61, PitTwin
from vmm.devices.irqchip import interval_timer
from vmm.errors import StateError
from vmm.native import lib

LATCH_0, READ_BACK_ALL, READ_BACK_STATUS_2 = 0x00, 0xC0 | 0x0E, 0xE8


def random_count(rng: random.Random) -> int:
    return rng.choice((rng.randrange(256), rng.randrange(1, 12), 0, 1, 2))


@pytest.mark.parametrize("seed", range(20))
def test_pit_agrees_with_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    mix = Mix({COUNTERS: 4, PORT61: 1}, step=120 * US)
    twin = PitTwin()
    with PitRig() as rig:
        for _ in range(700):
            action = rng.random()
            if action < 0.15:
                # Counts of at most 600 mostly, so that outputs change within a run.
                counter, word = rng.randrange(3), rng.randrange(64) & ~1 | (rng.random() < 0.2)
                steps = [(3, counter << 6 | word | 0x10), (counter, random_count(rng))]
                steps.append((counter, rng.randrange(3)))
                for offset, value in steps:
                    rig.write(COUNTERS, offset, value)
                    twin.write(COUNTERS, offset, value, 1)
            elif action < 0.6:
                mix.access(rng, rig, twin, random_count(rng))
            elif action < 0.7:
                value = rng.choice((0xC0, 0xD0, 0xE0)) | rng.randrange(16)
                rig.write(COUNTERS, CONTROL, value)
                twin.write(COUNTERS, CONTROL, value, 1)
            else:
                mix.step(rng, rig, twin)
            for counter in range(3):
                assert rig.read(COUNTERS, counter) == twin.read(COUNTERS, counter, 1)
            assert rig.read(PORT61) == twin.read(PORT61, 0, 1)
            compare(rig, twin)


def test_latched_count_stands_still_until_it_is_read(pit: PitRig) -> None:
    pit.program(0, 2, 0)
    pit.ticks(0x1234)
    pit.write(COUNTERS, CONTROL, LATCH_0)
    pit.ticks(1000)
    pit.write(COUNTERS, CONTROL, LATCH_0)
    low, high = pit.read(COUNTERS, 0), pit.read(COUNTERS, 0)

    assert low | high << 8 == 0x10000 - 0x1234


def test_read_back_gives_status_first_then_the_count(pit: PitRig) -> None:
    pit.program(0, 2, 1000)
    pit.ticks(10)
    pit.write(COUNTERS, CONTROL, READ_BACK_ALL)
    status, low, high = (pit.read(COUNTERS, 0) for _ in range(3))

    assert status == 1 << 7 | 3 << 4 | 2 << 1
    assert low | high << 8 == 990


def test_status_tells_that_no_count_is_loaded(pit: PitRig) -> None:
    pit.write(COUNTERS, CONTROL, 2 << 6 | 0x30)
    pit.write(COUNTERS, CONTROL, READ_BACK_STATUS_2)

    assert pit.read(COUNTERS, 2) == 1 << 6 | 3 << 4


def test_bcd_counts_in_decimal(pit: PitRig) -> None:
    pit.program(0, 2, 0x1000, bcd=1)
    pit.ticks(1)

    assert pit.count(0) == 0x0999


def test_access_modes_read_and_write_one_byte(pit: PitRig) -> None:
    pit.write(COUNTERS, CONTROL, 0x10 | 4)
    pit.write(COUNTERS, 0, 50)
    pit.ticks(10)
    assert pit.read(COUNTERS, 0) == 40
    pit.write(COUNTERS, CONTROL, 0x20 | 4)
    pit.write(COUNTERS, 0, 2)
    pit.ticks(1)

    assert pit.read(COUNTERS, 0) == 0x1FF >> 8


def test_control_word_cannot_be_read(pit: PitRig) -> None:
    assert pit.read(COUNTERS, CONTROL) == 0xFF


def test_refresh_bit_toggles_every_18_clocks(pit: PitRig) -> None:
    first = pit.read(PORT61) & 0x10
    pit.ticks(18)

    assert pit.read(PORT61) & 0x10 != first


def test_tiny_period_interrupts_at_most_10000_times_a_second(pit: PitRig) -> None:
    pit.program(0, 2, 2)
    pit.take_edges()
    pit.step(10 * MS)

    assert pit.rises() == 100


def test_count_of_a_xen_guest_cannot_be_read_but_its_output_can() -> None:
    with DeviceRig(interval_timer, xen=True) as hidden, PitRig() as whole:
        for rig in (hidden, whole):
            rig.write(PORT61, 0, 1)
            for offset, value in ((3, 0xB0), (2, 0xFF), (2, 0xFF), (3, 0x30), (0, 9), (0, 9)):
                rig.write(COUNTERS, offset, value)
            rig.step(US * 100)
        assert [hidden.read(COUNTERS, 2) for _ in range(2)] == [0, 0]
        assert [whole.read(COUNTERS, 2) for _ in range(2)] != [0, 0]
        assert hidden.read(COUNTERS, 0) == whole.read(COUNTERS, 0) != 0
        before = hidden.read(PORT61) & 0x20
        for rig in (hidden, whole):
            rig.step(60 * MS)
        assert (before, hidden.read(PORT61) & 0x20, whole.read(PORT61) & 0x20) == (0, 0x20, 0x20)


def test_silenced_timer_counts_on_without_interrupts(pit: PitRig) -> None:
    pit.program(0, 2, 1000)
    lib.pit_set_irq_off(pit.device.pointer, True)
    assert pit.level(0) == 0
    pit.take_edges()
    pit.ticks(5500)
    assert pit.take_edges() == []
    assert pit.count(0) == 500
    lib.pit_set_irq_off(pit.device.pointer, False)
    pit.ticks(1000)

    assert pit.rises() == 2, "the line comes back, then the period ends"


def test_reset_stops_everything(pit: PitRig) -> None:
    pit.program(0, 2, 1000)
    pit.device.reset()
    pit.take_edges()
    pit.ticks(5000)

    assert pit.take_edges() == []
    assert pit.level(0) == 0


def test_state_survives_a_round_trip(pit: PitRig) -> None:
    pit.program(0, 2, 1000)
    pit.program(2, 3, 777)
    pit.write(PORT61, 0, 3)
    pit.ticks(300)
    pit.write(COUNTERS, CONTROL, LATCH_0)
    saved = pit.device.save()
    with PitRig() as other:
        other.step(pit.now)
        other.device.load(saved)
        assert other.device.save() == saved
        for rig in (pit, other):
            rig.take_edges()
            rig.ticks(1500)

        assert other.take_edges() == pit.take_edges()
        assert other.count(0) == pit.count(0)
        assert other.count(2) == pit.count(2)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 0),
        ("mode", [6, 0, 0]),
        ("access", [0, 3, 3]),
        ("reload", [0, 1, 1]),
        ("reload", [0x10001, 1, 1]),
        ("pending", [0x10001, 0, 0]),
        ("gate", [0, 1, 0]),
        ("latched", [4, 0, 0]),
        ("port61", 0x10),
        ("start", [1 << 63, 0, 0]),
    ],
)
def test_impossible_state_is_refused(pit: PitRig, field: str, value: object) -> None:
    before = pit.device.save()

    with pytest.raises(StateError):
        pit.device.load(before | {field: value})
    assert pit.device.save() == before
