"""core/vcon_control.c: the console's control messages against their twin, and by name."""

from __future__ import annotations

import random
import struct

import pytest

from tests.native.twins.vcon import (
    ADD,
    CONSOLE,
    DEVICE_READY,
    NAME,
    OPEN,
    READY,
    REMOVE,
    RESIZE,
    VconTwin,
)
from vmm.native import ffi, lib

EFFECTS = {
    getattr(lib, f"VCON_{name}"): name
    for name in (
        *("IGNORED", "DEVICE_READY", "DEVICE_FAILED", "PORT_READY", "PORT_FAILED"),
        *("GUEST_OPENED", "GUEST_CLOSED", "NOTHING_NEW"),
    )
}
Message = tuple[int, int, int, bytes]


class Control:
    """The C state machine, with messages as tuples: number, event, value, body."""

    def __init__(self, max_ports: int = 8, *, spec_order: bool = False) -> None:
        self.c = ffi.new("struct vcon_control *")
        lib.vcon_control_init(self.c, max_ports, spec_order)
        self.number = ffi.new("uint32_t *")
        self.buffer = ffi.new("uint8_t[]", lib.VCON_MESSAGE_MAX)

    def add(self, number: int, name: str = "", *, console: bool = False, host: bool = True) -> None:
        assert lib.vcon_control_add(self.c, number, console, name.encode()) == 0
        lib.vcon_control_host(self.c, number, host)

    def remove(self, number: int) -> None:
        lib.vcon_control_remove(self.c, number)

    def receive(self, packet: bytes) -> str:
        effect = lib.vcon_control_receive(self.c, packet, len(packet), self.number)
        return EFFECTS[effect]

    def say(self, number: int, event: int, value: int = 1) -> str:
        return self.receive(struct.pack("<IHH", number, event, value))

    def next(self) -> bytes | None:
        length = lib.vcon_control_next(self.c, self.buffer)
        return bytes(ffi.buffer(self.buffer, length)) if length else None

    def all(self) -> list[Message]:
        """Every message there is."""
        found: list[Message] = []
        while (message := self.next()) is not None:
            found.append((*struct.unpack_from("<IHH", message), message[8:]))
        return found

    def bring_up(self, *numbers: int) -> None:
        """The handshake until the driver has these ports."""
        self.say(0xFFFFFFFF, DEVICE_READY)
        self.all()
        for number in numbers:
            assert self.say(number, READY) == "PORT_READY"
        self.all()


# --- the twin


@pytest.mark.parametrize("seed", range(40))
def test_any_conversation_is_the_twins(seed: int) -> None:
    rng = random.Random(seed)
    ports = rng.choice((1, 3, 63))
    spec = bool(seed % 2)
    control, twin = Control(ports, spec_order=spec), VconTwin(ports, spec_order=spec)
    names = ["", "org.x", "n" * 255]
    for _ in range(2000):
        number = rng.randrange(min(ports, 4))
        step = rng.random()
        exists = twin.numbers[number].port is not None
        if step < 0.08:
            console, name = rng.random() < 0.4, rng.choice(names)
            assert (
                lib.vcon_control_add(control.c, number, console, name.encode()) == 0
            ) == twin.add(number, console, name)
        elif step < 0.14 and exists:
            control.remove(number)
            twin.remove(number)
        elif step < 0.26 and exists:
            is_open = rng.random() < 0.5
            lib.vcon_control_host(control.c, number, is_open)
            twin.host(number, is_open)
        elif step < 0.29:
            window = rng.choice(((80, 25), (0, 0), (300, 1)))
            lib.vcon_control_resize(control.c, *window)
            twin.resize(*window)
        elif step < 0.30:
            lib.vcon_control_reset(control.c)
            twin.reset()
        elif step < 0.60:
            packet = random_packet(rng, number)
            assert control.receive(packet) == twin.receive(packet)
        else:
            assert control.next() == twin.next()
    assert [message for message in iter(control.next, None)] == [
        message for message in iter(twin.next, None)
    ]


def random_packet(rng: random.Random, number: int) -> bytes:
    event = rng.choice((DEVICE_READY, READY, READY, READY, OPEN, OPEN, rng.randrange(0x10000)))
    value = rng.choice((0, 1, 1, 1, rng.randrange(0x10000)))
    if rng.random() < 0.05:
        number = rng.choice((63, 64, 0x80000000, 0xFFFFFFFF, rng.randrange(1 << 32)))
    packet = struct.pack("<IHH", number, event, value) + rng.randbytes(rng.choice((0, 0, 5)))
    return packet if rng.random() > 0.03 else packet[: rng.randrange(8)]


# --- by name


def test_nothing_is_said_before_device_ready() -> None:
    control = Control()
    control.add(1, "org.x")
    assert control.all() == []
    assert control.say(1, READY) == "IGNORED"
    assert control.say(1, OPEN) == "IGNORED"


def test_handshake_has_the_order_that_all_drivers_know() -> None:
    control = Control()
    control.add(0, "main", console=True)
    control.add(1, "org.x")
    lib.vcon_control_resize(control.c, 80, 25)
    control.say(0xFFFFFFFF, DEVICE_READY)
    assert control.all() == [(0, ADD, 1, b""), (1, ADD, 1, b"")]
    assert control.say(0, READY) == "PORT_READY"
    assert control.all() == [
        (0, CONSOLE, 1, b""),
        (0, NAME, 1, b"main"),
        (0, RESIZE, 1, struct.pack("<HH", 25, 80)),
        (0, OPEN, 1, b""),
    ]
    assert control.say(0, OPEN) == "GUEST_OPENED"
    control.say(1, READY)
    assert control.all() == [(1, NAME, 1, b"org.x"), (1, OPEN, 1, b"")]


@pytest.mark.parametrize(("spec", "body"), [(False, (25, 80)), (True, (80, 25))])
def test_26_resize_has_either_order(spec: bool, body: tuple[int, int]) -> None:
    control = Control(spec_order=spec)
    control.add(0, console=True)
    control.add(1)
    control.bring_up(0, 1)
    lib.vcon_control_resize(control.c, 80, 25)
    assert control.all() == [(0, RESIZE, 1, struct.pack("<HH", *body))]


def test_29_a_driver_that_failed_is_not_spoken_to_until_it_is_ready() -> None:
    control = Control()
    control.add(1)
    assert control.say(0, DEVICE_READY, 0) == "DEVICE_FAILED"
    assert control.all() == []
    assert control.say(0, DEVICE_READY, 1) == "DEVICE_READY"
    assert control.all() == [(1, ADD, 1, b"")]


def test_29_a_port_that_failed_is_left_alone_and_can_be_removed() -> None:
    control = Control()
    control.add(1, "org.x")
    control.say(0, DEVICE_READY)
    control.all()
    assert control.say(1, READY, 0) == "PORT_FAILED"
    assert control.all() == []
    assert control.say(1, OPEN) == "IGNORED"
    control.remove(1)
    assert control.all() == [(1, REMOVE, 1, b"")]


@pytest.mark.parametrize("event", [ADD, REMOVE, CONSOLE, RESIZE, NAME, 8, 0xFFFF])
def test_29_events_of_the_device_mean_nothing_from_the_driver(event: int) -> None:
    control = Control()
    control.add(1)
    control.bring_up(1)
    assert control.say(1, event) == "IGNORED"
    assert control.all() == []


@pytest.mark.parametrize("length", range(8))
def test_29_short_packets_are_ignored(length: int) -> None:
    control = Control()
    assert control.receive(struct.pack("<IHH", 0, DEVICE_READY, 1)[:length]) == "IGNORED"
    assert not control.c.ready


def test_29_a_flood_of_open_changes_nothing_but_the_last_word() -> None:
    control = Control()
    control.add(1)
    control.bring_up(1)
    said = [control.say(1, OPEN, n % 2) for n in range(10_001)]
    assert said.count("GUEST_OPENED") == said.count("GUEST_CLOSED") == 5000
    assert control.all() == []


def test_ready_twice_is_answered_twice() -> None:
    control = Control()
    control.add(1, "org.x")
    control.bring_up(1)
    assert control.say(1, READY) == "PORT_READY"
    assert control.all() == [(1, NAME, 1, b"org.x"), (1, OPEN, 1, b"")]


def test_device_ready_twice_adds_the_ports_again() -> None:
    control = Control()
    control.add(1)
    control.bring_up(1)
    control.say(1, OPEN)
    control.say(0, DEVICE_READY)
    assert control.all() == [(1, ADD, 1, b"")]
    assert control.c.port[1].flags & lib.VCON_GUEST_OPEN


def test_a_reader_hears_of_a_peer_that_was_followed_by_another() -> None:
    control = Control()
    control.add(1)
    control.bring_up(1)
    lib.vcon_control_host(control.c, 1, False)
    lib.vcon_control_host(control.c, 1, True)
    assert control.all() == [(1, OPEN, 0, b""), (1, OPEN, 1, b"")]


def test_a_peer_that_came_and_went_unheard_leaves_no_trace() -> None:
    control = Control()
    control.add(1, host=False)
    control.bring_up(1)
    lib.vcon_control_host(control.c, 1, True)
    lib.vcon_control_host(control.c, 1, False)
    assert control.all() == []


# --- ports that come and go


def test_16_a_number_used_again_is_removed_first() -> None:
    control = Control()
    control.add(1, "old")
    control.bring_up(1)
    control.say(1, OPEN)
    control.remove(1)
    control.add(1, "new")
    assert control.all() == [(1, REMOVE, 1, b""), (1, ADD, 1, b"")]
    assert not control.c.port[1].flags & lib.VCON_GUEST_OPEN
    control.say(1, READY)
    assert control.all() == [(1, NAME, 1, b"new"), (1, OPEN, 1, b"")]


def test_16_a_port_that_was_never_announced_goes_silently() -> None:
    control = Control()
    control.say(0, DEVICE_READY)
    control.add(1)
    control.remove(1)
    assert control.all() == []


def test_16_a_late_word_about_the_old_port_is_not_about_the_new_one() -> None:
    control = Control()
    control.add(1)
    control.bring_up(1)
    control.remove(1)
    control.add(1)
    assert control.say(1, OPEN) == "IGNORED"  # before the ADD is out
    control.all()
    assert control.say(1, OPEN) == "IGNORED"  # before the driver can have seen it
    assert control.say(1, READY) == "PORT_READY"
    assert control.say(1, OPEN) == "GUEST_OPENED"


def test_16_a_late_answer_to_the_old_ports_add_is_not_for_the_new_one() -> None:
    control = Control()
    control.add(1)
    control.say(0, DEVICE_READY)
    for _ in range(2):
        control.all()
        control.remove(1)
        control.add(1)
    control.all()
    assert [control.say(1, READY) for _ in range(3)] == ["IGNORED", "IGNORED", "PORT_READY"]


def test_17_a_number_or_name_that_cannot_be_is_refused() -> None:
    control = Control(4)
    control.add(3)
    for number, name, error in ((3, b"", -17), (4, b"", -22), (1 << 31, b"", -22)):
        assert lib.vcon_control_add(control.c, number, False, name) == error
    assert lib.vcon_control_add(control.c, 1, False, b"n" * 256) == -22
    assert lib.vcon_control_add(control.c, 1, False, b"n" * 255) == 0


def test_20_after_a_reset_everything_is_announced_again() -> None:
    control = Control()
    control.add(1, "org.x")
    control.bring_up(1)
    control.say(1, OPEN)
    lib.vcon_control_reset(control.c)
    assert control.all() == []
    assert control.say(1, OPEN, 0) == "IGNORED"
    control.say(0, DEVICE_READY)
    assert control.all() == [(1, ADD, 1, b"")]
    control.say(1, READY)
    assert control.all() == [(1, NAME, 1, b"org.x"), (1, OPEN, 1, b"")]


def test_no_port_keeps_the_others_from_being_heard_of() -> None:
    control = Control()
    for number in range(1, 4):
        control.add(number)
    control.bring_up(1, 2, 3)
    for number in (2, 3):
        lib.vcon_control_host(control.c, number, False)
    heard = []
    for _ in range(4):
        lib.vcon_control_host(control.c, 1, False)
        lib.vcon_control_host(control.c, 1, True)
        message = control.next()
        assert message is not None
        heard.append(message[0])
    assert {2, 3} <= set(heard)


# --- saved states


@pytest.mark.parametrize(
    ("flags", "tell"),
    [
        ({"EXISTS", "READY"}, 0),
        ({"EXISTS", "ANNOUNCED", "READY", "FAILED"}, 0),
        ({"EXISTS", "ANNOUNCED", "GUEST_OPEN"}, 0),
        ({"EXISTS", "ANNOUNCED", "TOLD_OPEN"}, 0),
        ({"EXISTS", "ANNOUNCED", "READY", "CLOSED_MEANWHILE"}, 0),
        ({"EXISTS", "CONSOLE"}, 0),
        (set(), 0),
        ({"EXISTS"}, 32),
    ],
)
def test_23_impossible_states_are_refused(flags: set[str], tell: int) -> None:
    control = Control()
    control.add(1)
    state = ffi.new("struct vcon_control_port *")
    state.flags = sum(int(getattr(lib, f"VCON_{name}")) for name in flags)
    state.tell = tell
    before = control.c.port[1].flags
    assert not lib.vcon_control_set(control.c, 1, state)
    assert control.c.port[1].flags == before


def test_23_a_state_goes_on_with_what_was_to_be_told() -> None:
    old = Control()
    old.add(1, "org.x")
    old.bring_up(1)
    old.say(1, OPEN)
    lib.vcon_control_host(old.c, 1, False)
    old.say(1, READY)
    new = Control()
    new.add(1, "org.x", host=False)
    new.c.ready = True
    assert lib.vcon_control_set(new.c, 1, ffi.addressof(old.c.port, 1))
    assert new.all() == old.all() == [(1, NAME, 1, b"org.x")]
    assert new.c.port[1].flags == old.c.port[1].flags
