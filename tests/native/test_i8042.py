"""core/devices/i8042.c and ps2.c: against the twin, and as drivers use them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.native.devrig import DeviceRig, Mix, compare
from tests.native.twins.i8042 import AUX, COMMAND, DATA, OUT, I8042Twin
from vmm.devices.legacy import keyboard_controller
from vmm.errors import StateError
from vmm.native import lib

KEYBOARD, MOUSE = 1, 12  # GSIs
READ_CONTROL, WRITE_CONTROL, TO_MOUSE = 0x20, 0x60, 0xD4


class I8042Rig(DeviceRig):
    def __init__(self) -> None:
        super().__init__(keyboard_controller, machine="legacy")

    def command(self, *values: int) -> int:
        """A command byte, then its data."""
        event = self.write(COMMAND, 0, values[0])
        for value in values[1:]:
            event = self.write(DATA, 0, value)
        return event

    def answers(self) -> list[int]:
        """Everything that waits; from the mouse as negative numbers less one."""
        found = []
        while (status := self.read(COMMAND)) & OUT:
            byte = self.read(DATA)
            found.append(~byte if status & AUX else byte)
        return found


@pytest.fixture
def kbc() -> Iterator[I8042Rig]:
    with I8042Rig() as rig:
        yield rig


@pytest.mark.parametrize("seed", range(20))
def test_controller_agrees_with_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    mix, twin = Mix({DATA: 1, COMMAND: 1}), I8042Twin()
    interesting = (0x20, 0x60, 0xD4, 0xD4, 0xD2, 0xD3, 0xAA, 0xAD, 0xA8, 0xD0, 0x45, 0x03, 0xFF)
    with I8042Rig() as rig:
        for _ in range(3000):
            value = rng.choice((rng.choice(interesting), rng.randrange(0xE0, 0x100)))
            mix.access(rng, rig, twin, rng.choice((value, value, rng.randrange(256))))
            if rng.random() < 0.005:
                rig.device.reset()
                twin.reset()
            compare(rig, twin)


def test_self_tests_pass(kbc: I8042Rig) -> None:
    for command, answer in ((0xAA, 0x55), (0xAB, 0), (0xA9, 0)):
        kbc.command(command)
        assert kbc.answers() == [answer]


def test_command_byte_reads_back(kbc: I8042Rig) -> None:
    kbc.command(WRITE_CONTROL, 0x30)
    kbc.command(READ_CONTROL)

    assert kbc.answers() == [0x30]


@pytest.mark.parametrize(("control", "second"), [(0x00, 0x83), (0x40, 0x41)])
def test_keyboard_is_identified_translated_or_not(kbc: I8042Rig, control: int, second: int) -> None:
    kbc.command(WRITE_CONTROL, control)
    kbc.write(DATA, 0, 0xF2)

    assert kbc.answers() == [0xFA, 0xAB, second]


def test_linux_probe_of_the_keyboard_is_answered_at_once(kbc: I8042Rig) -> None:
    kbc.command(WRITE_CONTROL, 0x00)
    script = (
        ((0xFF,), [0xFA, 0xAA]),
        ((0xF2,), [0xFA, 0xAB, 0x83]),
        ((0xED, 0x00), [0xFA, 0xFA]),
        ((0xF0, 0x02), [0xFA, 0xFA]),
        ((0xF0, 0x00), [0xFA, 0xFA, 0x02]),
        ((0xF3, 0x00), [0xFA, 0xFA]),
        ((0xEE,), [0xEE]),
        ((0xF4,), [0xFA]),
        ((0x12,), [0xFE]),
    )
    for sent, expected in script:
        got = []
        for byte in sent:
            kbc.write(DATA, 0, byte)
            got += kbc.answers()
        assert got == expected, f"after {sent}"


def test_mouse_is_identified_behind_the_auxiliary_port(kbc: I8042Rig) -> None:
    answers = []
    for byte in (0xFF, 0xF2, 0xE8, 0x03, 0xF3, 0x28, 0xF4, 0xE9):
        kbc.command(TO_MOUSE, byte)
        answers.append([~a for a in kbc.answers()])

    assert answers == [
        [0xFA, 0xAA, 0x00],
        [0xFA, 0x00],
        *[[0xFA]] * 5,
        [0xFA, 0x20, 0x03, 0x28],
    ]


def test_loop_back_tells_the_two_ports_apart(kbc: I8042Rig) -> None:
    kbc.command(0xD3, 0x5A)
    assert kbc.answers() == [~0x5A]
    kbc.command(0xD2, 0xA5)

    assert kbc.answers() == [0xA5]


def test_each_byte_is_an_edge_of_its_own(kbc: I8042Rig) -> None:
    kbc.command(WRITE_CONTROL, 0x01)
    kbc.write(DATA, 0, 0xF2)
    kbc.answers()

    assert kbc.take_edges() == [(KEYBOARD, 1), (KEYBOARD, 0)] * 3


def test_mouse_bytes_have_their_own_line(kbc: I8042Rig) -> None:
    kbc.command(WRITE_CONTROL, 0x03)
    kbc.command(TO_MOUSE, 0xF4)

    assert (kbc.level(KEYBOARD), kbc.level(MOUSE)) == (0, 1)


def test_interrupts_wait_for_the_command_byte(kbc: I8042Rig) -> None:
    kbc.command(WRITE_CONTROL, 0x00)
    kbc.write(DATA, 0, 0xEE)
    assert kbc.level(KEYBOARD) == 0
    kbc.command(WRITE_CONTROL, 0x01)

    assert kbc.level(KEYBOARD) == 1


def test_disabled_keyboard_keeps_its_bytes(kbc: I8042Rig) -> None:
    kbc.write(DATA, 0, 0xF2)
    kbc.command(0xAD)
    assert kbc.answers() == [0xFA]
    kbc.command(0xAE)

    assert kbc.answers() == [0xAB, 0x41]


@pytest.mark.parametrize("command", [0xFE, 0xF0, 0xFC])
def test_pulsing_the_reset_bit_resets(kbc: I8042Rig, command: int) -> None:
    assert kbc.command(command) == lib.DEV_EVENT_RESET


@pytest.mark.parametrize("command", [0xFF, 0xF1, 0xFD])
def test_pulsing_other_bits_does_not_reset(kbc: I8042Rig, command: int) -> None:
    assert kbc.command(command) == 0


def test_output_port_resets_with_bit_0_and_remembers_a20(kbc: I8042Rig) -> None:
    kbc.command(0xD1, 0xDD)
    kbc.command(0xD0)
    assert kbc.answers()[-1] & 3 == 1
    kbc.command(0xDF)
    kbc.command(0xD0)
    assert kbc.answers()[-1] & 3 == 3

    assert kbc.command(0xD1, 0xDE) == lib.DEV_EVENT_RESET


def test_controller_memory_keeps_bytes(kbc: I8042Rig) -> None:
    kbc.command(0x7F, 0xAB)
    kbc.command(0x3F)

    assert kbc.answers() == [0xAB]


def test_commands_without_reading_never_overrun(kbc: I8042Rig) -> None:
    for _ in range(1000):
        kbc.write(DATA, 0, 0xF2)
        kbc.command(TO_MOUSE, 0xE9)

    assert len(kbc.answers()) <= 8


def test_state_survives_a_round_trip(kbc: I8042Rig) -> None:
    kbc.command(WRITE_CONTROL, 0x03)
    kbc.write(DATA, 0, 0xF2)
    kbc.command(TO_MOUSE, 0xE9)
    kbc.read(DATA)
    saved = kbc.save()
    with I8042Rig() as other:
        other.device.load(saved)
        assert other.save() == saved

        assert other.answers() == kbc.answers()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 0),
        ("status", 0x20),
        ("status", 0x02),
        ("have_reply", 2),
        ("command", 1),
        ("count", [9, 0]),
        ("scan_set", [0, 2]),
        ("resolution", [2, 4]),
        ("reporting", [2, 0]),
    ],
)
def test_impossible_state_is_refused(kbc: I8042Rig, field: str, value: object) -> None:
    before = kbc.save()

    with pytest.raises(StateError):
        kbc.device.load(before | {field: value})
    assert kbc.save() == before
