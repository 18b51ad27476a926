"""core/irq/ioapic.c and split_sink.c: against the twin, and by the data sheet."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.native.devrig import Mix, compare
from tests.native.ioapicrig import EXTINT, LEVEL, LOGICAL, MASKED, REMOTE_IRR, IoApicRig
from tests.native.twins.ioapic import EOI, SELECT, WINDOW, IoApicTwin
from vmm.errors import StateError
from vmm.native import ffi, lib


@pytest.fixture
def chip() -> Iterator[IoApicRig]:
    with IoApicRig() as rig:
        yield rig


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("pins", [24, 48])
def test_ioapic_agrees_with_the_twin(pins: int, seed: int) -> None:
    rng = random.Random(seed)
    mix = Mix({0: 0x50}, sizes=(1, 2, 4, 8))
    with IoApicRig(pins) as rig:
        twin = IoApicTwin(pins, rig.takes)
        rig.record_ends()
        for _ in range(2500):
            pin, action = rng.randrange(pins), rng.random()
            if action < 0.25:
                level, change = rng.randrange(2), rng.choice(("set_line", "set_line", "hold"))
                getattr(rig, change)(pin, bool(level))
                getattr(twin, change)(pin, level)
            elif action < 0.4:
                vector = rng.randrange(8)
                rig.end(vector)
                twin.end(vector)
            elif action < 0.8:
                value = rng.randrange(8) | rng.choice((0, LEVEL, LEVEL, MASKED | LEVEL, LOGICAL))
                select = 0x10 + rng.randrange(2 * pins + 4)
                for offset, word in ((SELECT, select), (WINDOW, value)):
                    rig.write(0, offset, word, 4)
                    twin.write(0, offset, word, 4)
            else:
                mix.access(rng, rig, twin, rng.getrandbits(64))
            assert rig.sent == twin.sent
            compare(rig, twin)
        assert rig.routes() == twin.routes
        assert rig.ended == twin.ended


def test_ioapic_identifies_itself(chip: IoApicRig) -> None:
    chip.put(0, 0x0F000000)

    assert chip.get(1) == 0x00170020
    assert chip.get(0) == chip.get(2) == 0x0F000000
    assert chip.get(0x10 + 2 * 24) == 0xFFFFFFFF


def test_edge_is_sent_once_with_vector_and_destination(chip: IoApicRig) -> None:
    chip.entry(4, 0x31 | LOGICAL, 0x02000000)
    chip.set_line(4, 1)
    chip.set_line(4, 0)

    assert chip.sent == [(0xFEE02004, 0x4031)]


def test_edge_on_a_masked_pin_is_lost(chip: IoApicRig) -> None:
    chip.entry(4, 0x31 | MASKED)
    chip.set_line(4, 1)
    chip.entry(4, 0x31)

    assert chip.sent == []


def test_level_waits_for_the_eoi_and_comes_again_while_high(chip: IoApicRig) -> None:
    chip.entry(9, 0x40 | LEVEL)
    chip.set_line(9, 1)
    chip.set_line(9, 0)
    chip.set_line(9, 1)
    assert len(chip.sent) == 1
    assert chip.get(0x10 + 18) & 1 << 14, "remote IRR"
    chip.end(0x40)
    assert len(chip.sent) == 2
    chip.set_line(9, 0)
    chip.end(0x40)

    assert len(chip.sent) == 2
    assert not chip.get(0x10 + 18) & 1 << 14


def test_level_that_no_apic_takes_is_tried_again(chip: IoApicRig) -> None:
    chip.accept = False
    chip.entry(9, 0x40 | LEVEL)
    chip.set_line(9, 1)
    assert not chip.get(0x10 + 18) & 1 << 14
    chip.accept = True
    chip.entry(9, 0x40 | LEVEL)

    assert chip.get(0x10 + 18) & 1 << 14


def test_masked_level_is_sent_when_unmasked(chip: IoApicRig) -> None:
    chip.set_line(9, 1)
    chip.entry(9, 0x40 | LEVEL)

    assert len(chip.sent) == 1


def test_eoi_register_does_what_the_apics_eoi_does(chip: IoApicRig) -> None:
    chip.entry(9, 0x40 | LEVEL)
    chip.set_line(9, 1)
    chip.write(0, EOI, 0x40, 4)

    assert len(chip.sent) == 2


def test_switching_to_edge_frees_a_pin_whose_eoi_got_lost(chip: IoApicRig) -> None:
    chip.entry(9, 0x40 | LEVEL)
    chip.set_line(9, 1)
    chip.entry(9, 0x40 | MASKED)
    chip.entry(9, 0x41 | LEVEL)

    assert chip.sent[-1][1] & 0xFF == 0x41


def test_external_interrupt_mode_sends_nothing(chip: IoApicRig) -> None:
    chip.entry(0, EXTINT)
    chip.set_line(0, 1)

    assert chip.sent == []


def test_pin_that_is_held_is_high_until_its_eoi(chip: IoApicRig) -> None:
    chip.record_ends()
    chip.entry(9, 0x40 | LEVEL)
    chip.hold(9, True)
    chip.end(0x41)
    assert (len(chip.sent), chip.ended) == (1, [])
    chip.end(0x40)

    assert (len(chip.sent), chip.ended) == (1, [9])


def test_pin_whose_line_is_high_too_asks_again_after_the_eoi(chip: IoApicRig) -> None:
    chip.entry(9, 0x40 | LEVEL)
    chip.hold(9, True)
    chip.set_line(9, 1)
    chip.end(0x40)

    assert len(chip.sent) == 2


def test_level_pins_are_routed_before_the_write_is_complete(chip: IoApicRig) -> None:
    before = chip.context.router.commits()
    chip.entry(9, 0x40 | LEVEL)

    assert chip.routes() == {9: (0xFEE00000, 0xC040)}
    assert chip.context.router.commits() == before + 1


def test_masking_and_unmasking_costs_no_commit_and_keeps_the_route(chip: IoApicRig) -> None:
    chip.entry(9, 0x40 | LEVEL)
    before = chip.context.router.commits()
    chip.put(0x10 + 18, 0x40 | LEVEL | MASKED)
    assert chip.routes() == {9: (0xFEE00000, 0xC040)}
    chip.put(0x10 + 18, 0x40 | LEVEL)

    assert chip.context.router.commits() == before


def test_edge_pins_have_no_route(chip: IoApicRig) -> None:
    chip.entry(9, 0x40 | LEVEL)
    chip.entry(9, 0x40)
    chip.entry(4, 0x31)

    assert chip.routes() == {}


def test_lines_reach_both_chips_and_the_timer_pin_2(chip: IoApicRig) -> None:
    for pin in (0, 2, 4, 20):
        chip.entry(pin, 0x30 + pin)
    line = ffi.new("struct irq_line *")
    for gsi in (0, 2, 4, 20):
        lib.irq_line_init(line, chip.hub, gsi)
        lib.irq_line_set(line, 1)
        lib.irq_line_set(line, 0)

    assert [data & 0xFF for _address, data in chip.sent] == [0x32, 0x34, 0x44]
    assert chip.pic is not None
    assert chip.pic.save()["irr"] == [1 << 0 | 1 << 4, 0]


def test_reset_masks_every_pin_and_routes_none(chip: IoApicRig) -> None:
    chip.entry(9, 0x40 | LEVEL)
    chip.device.reset()
    chip.set_line(9, 1)

    assert chip.sent == []
    assert chip.get(0x10 + 18) == MASKED
    assert chip.routes() == {}


def test_state_survives_a_round_trip_with_its_routes(chip: IoApicRig) -> None:
    chip.entry(9, 0x40 | LEVEL, 0x01000000)
    chip.set_line(9, 1)
    saved = chip.save()
    with IoApicRig() as other:
        other.device.load(saved)

        assert other.save() == saved
        assert other.routes() == chip.routes()
        assert other.sent == [], "what was sent before the saving is in the APIC's state"
        other.end(0x40)
        assert len(other.sent) == 1


def test_a_pin_saved_while_masked_is_routed_for_the_eoi_that_it_awaits(chip: IoApicRig) -> None:
    chip.entry(9, 0x40 | LEVEL)
    chip.set_line(9, 1)
    chip.put(0x10 + 18, 0x40 | LEVEL | MASKED)
    chip.entry(10, 0x41 | LEVEL | MASKED)
    saved = chip.save()
    with IoApicRig() as other:
        other.device.load(saved)

        assert other.routes() == {9: (0xFEE00000, 0xC040)}


def test_what_no_local_apic_holds_has_ended_and_comes_again_while_high(chip: IoApicRig) -> None:
    chip.record_ends()
    for pin, vector in ((9, 0x40), (10, 0x42), (11, 0x43)):
        chip.entry(pin, vector | LEVEL)
        chip.set_line(pin, 1)
    chip.set_line(9, 0)
    chip.sent.clear()

    chip.device.reconcile((1 << 0x42).to_bytes(32, "little"))

    assert [pin for pin in (9, 10, 11) if chip.get(0x10 + 2 * pin) & REMOTE_IRR] == [10, 11]
    assert [data & 0xFF for _address, data in chip.sent] == [0x43]
    assert chip.ended == [9, 11]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 0),
        ("pins", 48),
        ("select", 256),
        ("id", 1),
        ("lines", 1 << 24),
        ("rte", [1 << 12] + [MASKED] * 23 + [0] * 24),
        ("rte", [1 << 14] + [MASKED] * 23 + [0] * 24),
        ("rte", [1 << 17] + [MASKED] * 23 + [0] * 24),
    ],
)
def test_impossible_state_is_refused(chip: IoApicRig, field: str, value: object) -> None:
    before = chip.save()

    with pytest.raises(StateError):
        chip.device.load(before | {field: value})
    assert chip.save() == before


@pytest.mark.parametrize("pins", [0, 23, 25, 49, 1 << 31])
def test_only_24_and_48_pins_exist(pins: int) -> None:
    assert lib.ioapic_create(pins) == ffi.NULL
