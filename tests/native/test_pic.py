"""core/irq/pic.c: the 8259A pair against its twin, and by the data sheet."""

from __future__ import annotations

import random

import pytest

from tests.native.devrig import Mix, compare
from tests.native.picrig import (
    EOI,
    ICW1,
    ICW1_LEVEL,
    ICW1_NO_ICW4,
    ICW1_SINGLE,
    POLL,
    READ_ISR,
    SPECIAL_MASK,
    PicRig,
)
from tests.native.twins.pic import ELCR, MASTER, SLAVE, PicTwin
from vmm.errors import StateError


@pytest.mark.parametrize("seed", range(30))
def test_pic_agrees_with_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    mix = Mix({MASTER: 2, SLAVE: 2, ELCR: 2})
    twin = PicTwin()
    with PicRig() as rig:
        for _ in range(2500):
            action = rng.random()
            if action < 0.4:
                line, level = rng.randrange(16), rng.randrange(2)
                change = rng.choice(("set_line", "set_line", "hold"))
                getattr(rig, change)(line, bool(level))
                getattr(twin, change)(line, level)
            elif action < 0.6:
                assert rig.acknowledge() == twin.acknowledge()
            else:
                value = rng.choice((rng.randrange(256), EOI, ICW1, 0x00, 0x01, POLL, SPECIAL_MASK))
                mix.access(rng, rig, twin, value)
            assert rig.output() == bool(twin.output)
            compare(rig, twin)
        assert rig.events == twin.events
        assert rig.ended == twin.ended


def test_edge_gives_the_vector_of_its_line(pic: PicRig) -> None:
    pic.set_line(4, 1)

    assert pic.output()
    assert pic.acknowledge() == 0x24
    assert not pic.output()


def test_slave_line_comes_through_the_cascade(pic: PicRig) -> None:
    pic.set_line(12, 1)

    assert pic.acknowledge() == 0x2C
    pic.command(MASTER, READ_ISR)
    pic.command(SLAVE, READ_ISR)
    assert (pic.read(MASTER), pic.read(SLAVE)) == (1 << 2, 1 << 4)


def test_edge_counts_once_however_long_the_line_stays_high(pic: PicRig) -> None:
    pic.set_line(4, 1)
    pic.acknowledge()
    pic.command(MASTER, EOI)

    assert not pic.output()


def test_level_asks_again_after_the_eoi_while_the_line_is_high(pic: PicRig) -> None:
    pic.write(ELCR, 0, 1 << 5)
    pic.set_line(5, 1)
    pic.acknowledge()
    pic.command(MASTER, EOI)
    assert pic.output()
    pic.set_line(5, 0)

    assert not pic.output()


def test_level_that_went_away_gives_the_spurious_vector(pic: PicRig) -> None:
    pic.write(ELCR, 0, 1 << 5)
    pic.set_line(5, 1)
    pic.set_line(5, 0)

    assert pic.acknowledge() == 0x27
    pic.command(MASTER, READ_ISR)
    assert pic.read(MASTER) == 0, "a spurious interrupt is not in service"


def test_cascade_input_without_a_slave_request_gives_the_slaves_spurious_vector(
    pic: PicRig,
) -> None:
    pic.set_line(2, 1)

    assert pic.acknowledge() == 0x2F
    pic.command(MASTER, READ_ISR)
    assert pic.read(MASTER) == 1 << 2, "the master serves the cascade and wants an EOI"


def test_masked_edge_waits_for_the_mask(pic: PicRig) -> None:
    pic.write(MASTER, 1, 1 << 3)
    pic.set_line(3, 1)
    pic.set_line(3, 0)
    assert not pic.output()
    pic.write(MASTER, 1, 0)

    assert pic.acknowledge() == 0x23


def test_masking_the_slaves_last_request_takes_the_output_back(pic: PicRig) -> None:
    pic.set_line(10, 1)
    pic.write(SLAVE, 1, 0xFF)

    assert not pic.output()


def test_icw1_forgets_edges_and_masks(pic: PicRig) -> None:
    pic.set_line(3, 1)
    pic.write(MASTER, 1, 0xFF)
    pic.command(MASTER, ICW1_NO_ICW4)
    pic.write(MASTER, 1, 0x40)
    pic.write(MASTER, 1, 4)

    assert pic.read(MASTER, 1) == 0
    assert not pic.output()
    pic.set_line(3, 0)
    pic.set_line(3, 1)
    assert pic.acknowledge() == 0x43


def test_ltim_makes_every_line_a_level(pic: PicRig) -> None:
    pic.command(MASTER, ICW1_LEVEL)
    for word in (0x20, 4, 1):
        pic.write(MASTER, 1, word)
    pic.set_line(0, 1)
    assert pic.output()
    pic.set_line(0, 0)

    assert not pic.output()


def test_single_mode_expects_no_icw3(pic: PicRig) -> None:
    pic.command(MASTER, ICW1_SINGLE)
    for word in (0x50, 1, 0xAA):
        pic.write(MASTER, 1, word)

    assert pic.read(MASTER, 1) == 0xAA


@pytest.mark.parametrize(("region", "offset", "allowed"), [(ELCR, 0, 0xF8), (ELCR, 1, 0xDE)])
def test_elcr_cannot_make_system_lines_levels(
    pic: PicRig, region: int, offset: int, allowed: int
) -> None:
    pic.write(region, offset, 0xFF)

    assert pic.read(region, offset) == allowed


def test_reset_masks_everything(pic: PicRig) -> None:
    pic.set_line(4, 1)
    pic.device.reset()

    assert not pic.output()
    assert pic.read(MASTER, 1) == 0xFF


def test_state_survives_a_round_trip(pic: PicRig) -> None:
    pic.set_line(4, 1)
    pic.acknowledge()
    pic.set_line(12, 1)
    pic.set_line(1, 1)
    saved = pic.save()
    with PicRig() as other:
        other.device.load(saved)

        assert other.save() == saved
        assert other.output()
        assert other.acknowledge() == 0x21


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 2),
        ("lowest", [8, 7]),
        ("init", [1, 0]),
        ("base", [0x21, 0x28]),
        ("elcr", [1, 0]),
        ("poll", [2, 0]),
        ("output", 2),
    ],
)
def test_impossible_state_is_refused_and_changes_nothing(
    pic: PicRig, field: str, value: object
) -> None:
    before = pic.save()

    with pytest.raises(StateError):
        pic.device.load(before | {field: value})
    assert pic.save() == before
