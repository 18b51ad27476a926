"""core/virtio/vcon_control.c: the console's control messages against their twin, and saved."""

from __future__ import annotations

import random
import struct

import pytest

from tests.native.twins.vcon import (
    DEVICE_READY,
    NAME,
    OPEN,
    READY,
    VconTwin,
)
from tests.native.vconcontrol import Control
from vmm.native import ffi, lib

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
