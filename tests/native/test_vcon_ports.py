"""Ports of a virtio console that come and go; numbers as in docs/console.md."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.native.vconrig import MakeRig, drink, pour, receive, serial
from tests.vcondriver import PORT_ADD, PORT_OPEN, PORT_REMOVE
from tests.virtiopci import EVENT_IDX, wait_for
from vmm.errors import HostError, StateError
from vmm.layout import KIB, MIB
from vmm.native import lib

# --- which ports can be


def test_14_as_many_ports_as_numbers_and_not_one_more(make_rig: MakeRig) -> None:
    rig = make_rig("console,null", options={"max_ports": lib.VCON_MAX_PORTS})
    for n in range(1, lib.VCON_MAX_PORTS):
        rig.add(f"name=p{n},null")
    with pytest.raises(StateError, match="console0 has numbers 0 to 62; start with --device"):
        rig.add("name=more,null")
    guest = rig.guest()
    guest.until(lambda: len(guest.ports) == lib.VCON_MAX_PORTS)
    guest.until(lambda: all(port.host_connected for port in guest.ports.values()))
    assert {port.name for port in guest.ports.values()} == {
        "", *(f"p{n}" for n in range(1, lib.VCON_MAX_PORTS))
    }  # fmt: skip


def test_14_a_device_for_one_console_takes_no_port(make_rig: MakeRig) -> None:
    rig = make_rig("console,null", options={"max_ports": 1, "multiport": False})
    with pytest.raises(StateError, match="room for one console and no port"):
        rig.add("name=x,null")


def test_17_number_or_name_that_is_taken_is_refused(make_rig: MakeRig) -> None:
    rig = make_rig("name=a,nr=3,null")
    with pytest.raises(StateError, match="has a port named a already"):
        rig.add("name=a,null")
    with pytest.raises(StateError, match="Number 3 of console0 belongs to its port a already"):
        rig.add("name=b,nr=3,null")
    assert rig.add("name=b,null").number == 1


def test_host_that_refuses_a_port_leaves_none_behind(make_rig: MakeRig, tmp_path: Path) -> None:
    rig = make_rig("name=a,null")
    with pytest.raises(HostError, match=r"Listening on .*for port b failed"):
        rig.add("name=b,socket={dir}/missing/sock")
    assert list(rig.console.ports) == [1]
    assert rig.add("name=b,null").number == 2


# --- coming and going


def test_15_port_added_to_a_running_guest_works(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    guest.port("a")
    rig.add(*serial("late"))
    port, peer = rig.joined(guest, "late")
    peer.sendall(b"hello")
    assert port.read(5) == b"hello"


def test_15_port_added_at_any_moment_of_the_handshake_works(make_rig: MakeRig) -> None:
    for moment in range(8):
        rig = make_rig(*serial(f"first{moment}"))
        guest = rig.guest()
        for _ in range(moment):
            guest.work()
        rig.add(*serial(f"second{moment}"))
        for name in (f"first{moment}", f"second{moment}"):
            port, peer = rig.joined(guest, name)
            port.write_all(b"hello")
            assert receive(peer, 5) == b"hello"


def test_15_port_added_before_any_driver_and_while_paused_is_found_later(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.add(*serial("early"))
    guest = rig.guest()
    guest.port("early")
    rig.core.pause()
    rig.add(*serial("late"))
    rig.settle()
    assert guest.work() == 0
    rig.core.resume()
    assert guest.port("late").number == 2


def test_16_port_removed_while_open_is_gone_on_both_sides(
    make_rig: MakeRig, tmp_path: Path
) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    _port, peer = rig.joined(guest, "a")
    rig.console.remove(rig.console.ports[1])
    assert peer.recv(1) == b""
    guest.until(lambda: not guest.ports)
    assert guest.log[-2:] == [(1, PORT_OPEN, 0, b""), (1, PORT_REMOVE, 1, b"")]
    assert not (tmp_path / "a.sock").exists()


@pytest.mark.parametrize("decline", [0, 1 << EVENT_IDX], ids=["event-idx", "flags"])
def test_16_a_hundred_replugs_under_traffic_lose_nothing_beside_it(
    make_rig: MakeRig, decline: int
) -> None:
    """Another port carries an echo all the while; the replugged one carries one each time."""
    rig = make_rig(*serial("stays"))
    guest = rig.guest(decline)
    stays, peer = rig.joined(guest, "stays")
    data = random.Random(16).randbytes(2 * MIB)
    echoed: list[bytes] = []
    threads = [pour(peer, data), drink(peer, len(data), echoed.append)]

    def echo() -> None:
        stays.poll()
        done = stays.write(bytes(stays.input[: 32 * KIB]))
        del stays.input[:done]

    for n in range(100):
        rig.add(*serial("x"))
        with rig.connect("x.sock") as other:
            port = guest.open("x")
            guest.until(lambda port=port: port.host_connected)
            piece = data[n : n + 10_000]
            other.sendall(piece)
            assert port.read(len(piece)) == piece
            port.write_all(piece[::-1])
            assert receive(other, len(piece)) == piece[::-1]
            if n % 2:  # traffic both ways when it goes
                port.write(b"o" * 100_000)
                other.setblocking(False)
                other.send(b"i" * 50_000)
            echo()
            number = port.number
            rig.console.remove(rig.console.ports[number])
            if n % 3:
                guest.until(lambda number=number: number not in guest.ports)
    wait_for(lambda: echo() or bool(echoed))
    for thread in threads:
        thread.join()
    assert echoed == [data]
    assert rig.driver.status & 0x40 == 0
    assert not guest.unknown


def test_16_replug_without_the_guest_looking_is_one_change(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    old, peer = rig.joined(guest, "a")
    old.write(b"x" * 1000)
    for _ in range(30):
        rig.console.remove(rig.console.ports[1])
        rig.add(*serial("a"))
    port, peer = rig.joined(guest, "a")
    guest.until(lambda: guest.ports.get(1) not in (None, old))
    port = guest.open("a")
    guest.until(lambda: port.host_connected)
    peer.sendall(b"new")
    assert port.read(3) == b"new"
    port.write_all(b"out")
    assert receive(peer, 3) == b"out"
    adds = [entry for entry in guest.log if entry[1] == PORT_ADD]
    assert len(adds) <= 31


def test_control_messages_wait_for_buffers(make_rig: MakeRig) -> None:
    rig = make_rig()
    guest = rig.guest()
    rig.settle()
    for _ in range(100):  # far more than the 32 buffers that nobody gives back
        rig.add("name=x,null")
        rig.console.remove(rig.console.ports[1])
    rig.add("name=kept,null")
    assert guest.port("kept").number == 1
    guest.until(lambda: guest.ports[1].host_connected)
