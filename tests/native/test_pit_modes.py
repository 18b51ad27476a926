"""core/irq/pit.c: the six modes, and what a gate or a new count does to them."""

from __future__ import annotations

import pytest

from tests.native.pitrig import PitRig
from tests.native.twins.pit import COUNTERS, PORT61


def test_mode_0_raises_its_line_once_at_the_terminal_count(pit: PitRig) -> None:
    pit.program(0, 0, 1000)
    pit.ticks(999)
    assert pit.level(0) == 0
    pit.ticks(1)
    assert pit.level(0) == 1
    pit.take_edges()
    pit.ticks(200_000)

    assert pit.take_edges() == []


def test_mode_0_goes_on_counting_below_zero(pit: PitRig) -> None:
    pit.program(0, 0, 10)
    pit.ticks(11)

    assert pit.count(0) == 0xFFFF


def test_mode_2_interrupts_every_period(pit: PitRig) -> None:
    pit.program(0, 2, 1193)
    pit.take_edges()
    pit.ticks(1193 * 100)

    assert pit.rises() == 100


def test_mode_3_is_high_for_half_the_period_and_counts_by_two(pit: PitRig) -> None:
    pit.write(PORT61, 0, 1)
    pit.program(2, 3, 1000)
    assert (pit.count(2), pit.read(PORT61) >> 5 & 1) == (1000, 1)
    pit.ticks(499)
    assert (pit.count(2), pit.read(PORT61) >> 5 & 1) == (2, 1)
    pit.ticks(1)
    assert (pit.count(2), pit.read(PORT61) >> 5 & 1) == (1000, 0)
    pit.ticks(500)

    assert pit.read(PORT61) >> 5 & 1 == 1


def test_mode_3_with_an_odd_count_is_high_one_clock_longer(pit: PitRig) -> None:
    pit.write(PORT61, 0, 1)
    pit.program(2, 3, 5)
    outputs = []
    for _ in range(10):
        outputs.append(pit.read(PORT61) >> 5 & 1)
        pit.ticks(1)

    assert outputs == [1, 1, 1, 0, 0] * 2


def test_mode_4_strobes_for_one_clock(pit: PitRig) -> None:
    pit.write(PORT61, 0, 1)
    pit.program(2, 4, 3)
    outputs = []
    for _ in range(6):
        outputs.append(pit.read(PORT61) >> 5 & 1)
        pit.ticks(1)

    assert outputs == [1, 1, 1, 0, 1, 1]


@pytest.mark.parametrize("mode", [1, 5])
def test_gate_triggers_modes_1_and_5_and_again(pit: PitRig, mode: int) -> None:
    pit.program(2, mode, 4)
    pit.ticks(10)
    assert pit.read(PORT61) >> 5 & 1 == 1, "nothing happens before the trigger"
    pit.write(PORT61, 0, 1)
    pit.ticks(2)
    pit.write(PORT61, 0, 0)
    pit.write(PORT61, 0, 1)
    outputs = []
    for _ in range(6):
        outputs.append(pit.read(PORT61) >> 5 & 1)
        pit.ticks(1)

    assert outputs == ([0, 0, 0, 0, 1, 1] if mode == 1 else [1, 1, 1, 1, 0, 1])


def test_closed_gate_stops_mode_0_and_restarts_mode_2(pit: PitRig) -> None:
    pit.write(PORT61, 0, 1)
    for mode, expected in ((0, 60), (2, 100)):
        pit.write(PORT61, 0, 1)
        pit.program(2, mode, 100)
        pit.ticks(40)
        pit.write(PORT61, 0, 0)
        pit.ticks(500)
        pit.write(PORT61, 0, 1)

        assert pit.count(2) == expected


def test_new_count_in_mode_2_begins_after_the_period(pit: PitRig) -> None:
    pit.program(0, 2, 1000)
    pit.ticks(400)
    pit.write(COUNTERS, 0, 2000 & 0xFF)
    pit.write(COUNTERS, 0, 2000 >> 8)
    assert pit.count(0) == 600
    pit.ticks(600)

    assert pit.count(0) == 2000
