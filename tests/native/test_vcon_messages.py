"""core/virtio/vcon_control.c: what is said and when, by name; numbers as in docs/console.md."""

from __future__ import annotations

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
)
from tests.native.vconcontrol import Control
from vmm.native import lib


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
