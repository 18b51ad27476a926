"""core/irq/pic.c: who interrupts whom: end of interrupt, rotation, masks, poll."""

from __future__ import annotations

from tests.native.picrig import (
    EOI,
    POLL,
    READ_ISR,
    ROTATE_EOI,
    SET_LOWEST,
    SPECIAL_MASK,
    SPECIFIC_EOI,
    PicRig,
)
from tests.native.twins.pic import ELCR, MASTER, SLAVE


def test_more_urgent_line_interrupts_a_less_urgent_one(pic: PicRig) -> None:
    pic.set_line(6, 1)
    pic.acknowledge()
    pic.set_line(7, 1)
    assert not pic.output()
    pic.set_line(1, 1)

    assert pic.acknowledge() == 0x21


def test_nonspecific_eoi_ends_the_most_urgent_and_specific_the_named(pic: PicRig) -> None:
    for line in (6, 3):
        pic.set_line(line, 1)
        pic.acknowledge()
    pic.command(MASTER, READ_ISR)
    pic.command(MASTER, SPECIFIC_EOI | 6)
    assert pic.read(MASTER) == 1 << 3
    pic.command(MASTER, EOI)

    assert pic.read(MASTER) == 0


def test_rotation_makes_the_served_line_least_urgent(pic: PicRig) -> None:
    pic.set_line(4, 1)
    pic.acknowledge()
    pic.command(MASTER, ROTATE_EOI)
    pic.set_line(4, 0)
    pic.set_line(4, 1)
    pic.set_line(5, 1)

    assert pic.acknowledge() == 0x25


def test_priority_command_names_the_least_urgent_line(pic: PicRig) -> None:
    pic.command(MASTER, SET_LOWEST | 5)
    for line in (1, 6):
        pic.set_line(line, 1)

    assert pic.acknowledge() == 0x26


def test_special_mask_lets_less_urgent_lines_through(pic: PicRig) -> None:
    pic.set_line(1, 1)
    pic.acknowledge()
    pic.write(MASTER, 1, 1 << 1)
    pic.command(MASTER, SPECIAL_MASK)
    pic.set_line(6, 1)

    assert pic.acknowledge() == 0x26


def test_line_that_is_held_is_high_until_its_eoi(pic: PicRig) -> None:
    pic.write(ELCR, 1, 1 << 3)
    pic.hold(11, True)
    assert pic.acknowledge() == 0x2B
    pic.command(SLAVE, EOI)
    pic.command(MASTER, EOI)

    assert not pic.output()
    assert pic.ended == [11, 2]


def test_line_that_is_held_falls_with_its_acknowledge_if_that_ends_it(pic: PicRig) -> None:
    pic.initialize(icw4=3)
    pic.write(ELCR, 0, 1 << 5)
    pic.hold(5, True)

    assert pic.acknowledge() == 0x25
    assert pic.ended == [5]
    assert not pic.output()


def test_automatic_eoi_leaves_nothing_in_service(pic: PicRig) -> None:
    pic.initialize(icw4=3)
    pic.set_line(3, 1)
    pic.acknowledge()
    pic.command(MASTER, READ_ISR)

    assert pic.read(MASTER) == 0


def test_poll_acknowledges_and_names_the_line(pic: PicRig) -> None:
    pic.set_line(6, 1)
    pic.command(MASTER, POLL)

    assert pic.read(MASTER) == 0x86
    assert not pic.output()
    pic.command(MASTER, POLL)
    assert pic.read(MASTER) == 0, "nothing waits"
