"""Ports of a virtio console that come, go, and change ends; numbers as in docs/console.md."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.native.vconrig import ConsoleRig, receive
from tests.vcondriver import PORT_ADD, PORT_OPEN, PORT_REMOVE, GuestConsole
from tests.virtiopci import EVENT_IDX, wait_for
from vmm.errors import HostError, StateError
from vmm.native import lib

KIB, MIB = 1 << 10, 1 << 20
PORT = "name={n},socket={{dir}}/{n}.sock"

MakeRig = Callable[..., ConsoleRig]


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[MakeRig]:
    made: list[ConsoleRig] = []

    def make(*ports: str, **more: Any) -> ConsoleRig:
        made.append(ConsoleRig(tmp_path, *ports, **more))
        return made[-1]

    yield make
    for rig in made:
        rig.__exit__()


def serial(*names: str) -> list[str]:
    return [PORT.format(n=name) for name in names]


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
    rig.add(PORT.format(n="late"))
    port, peer = rig.joined(guest, "late")
    peer.sendall(b"hello")
    assert port.read(5) == b"hello"


def test_15_port_added_at_any_moment_of_the_handshake_works(make_rig: MakeRig) -> None:
    for moment in range(8):
        rig = make_rig(*serial(f"first{moment}"))
        guest = rig.guest()
        for _ in range(moment):
            guest.work()
        rig.add(PORT.format(n=f"second{moment}"))
        for name in (f"first{moment}", f"second{moment}"):
            port, peer = rig.joined(guest, name)
            port.write_all(b"hello")
            assert receive(peer, 5) == b"hello"


def test_15_port_added_before_any_driver_and_while_paused_is_found_later(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.add(PORT.format(n="early"))
    guest = rig.guest()
    guest.port("early")
    rig.core.pause()
    rig.add(PORT.format(n="late"))
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
    threads = [
        threading.Thread(target=peer.sendall, args=(data,)),
        threading.Thread(target=lambda: echoed.append(receive(peer, len(data)))),
    ]
    for thread in threads:
        thread.start()

    def echo() -> None:
        stays.poll()
        done = stays.write(bytes(stays.input[: 32 * KIB]))
        del stays.input[:done]

    for n in range(100):
        rig.add(PORT.format(n="x"))
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
        rig.add(PORT.format(n="a"))
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


# --- other ends for a live port


def test_19_live_port_gets_one_end_after_the_other(make_rig: MakeRig, tmp_path: Path) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    port, peer = rig.joined(guest, "a")
    live = rig.console.ports[1]
    port.write_all(b"to socket")
    assert receive(peer, 9) == b"to socket"

    swap(rig, "file={dir}/log")
    assert peer.recv(1) == b""
    port.write_all(b"to file")
    port.drain()
    assert (tmp_path / "log").read_bytes() == b"to file"

    swap(rig, "ring=8K")
    port.write_all(b"to ring")
    port.drain()
    assert live.chan.take(100) == b"to ring"
    live.chan.feed(b"from ring")
    assert port.read(9) == b"from ring"

    swap(rig, "null")
    port.write_all(b"to nobody")
    port.drain()
    guest.work()
    assert port.opens == [1]  # all of them were there

    swap(rig, "pty")
    guest.until(lambda: port.opens == [1, 0])
    with open(live.chan.path, "r+b", buffering=0) as terminal:
        guest.until(lambda: port.host_connected)
        port.write_all(b"to pty")
        assert terminal.read(100) == b"to pty"

    swap(rig, "socket={dir}/b.sock")
    guest.until(lambda: not port.host_connected)
    with rig.connect("b.sock") as peer:
        guest.until(lambda: port.host_connected)
        peer.sendall(b"back")
        assert port.read(4) == b"back"


def swap(rig: ConsoleRig, text: str) -> None:
    rig.console.swap(rig.console.ports[1], rig.port_config(text).end)


def test_19_what_the_old_end_did_not_take_goes_to_the_new_one(
    make_rig: MakeRig, tmp_path: Path
) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    port, peer = rig.joined(guest, "a")
    data = random.Random(19).randbytes(500 * KIB)
    at = 0
    while rig.count("a_tx_blocked") == 0:
        at += port.write(data[at:])
    peer.setblocking(False)
    swap(rig, "file={dir}/rest")
    port.write_all(data[at:])
    port.drain()
    taken = receive_all(peer)
    assert taken + (tmp_path / "rest").read_bytes() == data


def receive_all(peer: socket.socket) -> bytes:
    peer.setblocking(True)
    data = bytearray()
    while piece := peer.recv(MIB):
        data += piece
    return bytes(data)


def test_19_end_that_cannot_be_opened_leaves_the_port_as_it_was(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    port, peer = rig.joined(guest, "a")
    with pytest.raises(HostError, match=r"Opening .*missing.* for port a failed"):
        swap(rig, "file={dir}/missing/log")
    port.write_all(b"still here")
    assert receive(peer, 10) == b"still here"


# --- resets, pauses, other peers


def test_20_driver_that_starts_over_finds_everything_again(make_rig: MakeRig) -> None:
    rig = make_rig("console,null", *serial("a"))
    for _ in range(10):
        guest = rig.guest()
        with rig.connect("a.sock") as peer:
            port = guest.open("a")
            guest.until(lambda port=port: port.host_connected)
            port.write_all(b"again")
            assert receive(peer, 5) == b"again"


def test_20_reset_is_told_to_who_watches_the_port(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    guest.open("a")
    wait_for(lambda: rig.console.ports[1].guest_open)
    rig.driver.reset()
    wait_for(lambda: not rig.console.ports[1].guest_open)


def test_21_reset_in_the_middle_of_traffic_leaves_a_device_that_works(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    with rig.connect("a.sock") as peer:
        peer.settimeout(20)
        stop = threading.Event()

        def chatter() -> None:
            peer.setblocking(False)
            while not stop.is_set():
                for act in (lambda: peer.send(b"i" * 9999), lambda: peer.recv(MIB)):
                    try:
                        act()
                    except BlockingIOError:
                        time.sleep(0.001)

        thread = threading.Thread(target=chatter)
        thread.start()
        for n in range(20):
            guest = rig.guest()
            port = guest.open("a")
            for _ in range(n):
                port.poll()
                port.write(b"o" * 60_000)
            rig.driver.reset()
        stop.set()
        thread.join()
    guest = rig.guest()
    port, peer = rig.joined(guest, "a")
    port.poll()
    port.write_all(b"fine")
    assert receive(peer, 4) == b"fine"


def test_21_ports_unplugged_during_a_reset_stay_away(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a", "b"))
    guest = rig.guest()
    guest.port("b")
    rig.console.remove(rig.console.ports[1])
    guest = rig.guest()
    guest.port("b")
    rig.settle()
    guest.work()
    assert [entry[0] for entry in guest.log if entry[1] == PORT_ADD] == [2]


def blocks(count: int) -> bytes:
    """Seven bytes each, numbered."""
    return b"".join(b"%06d;" % n for n in range(count))


def test_22_pauses_in_the_middle_of_traffic_lose_and_repeat_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    port, peer = rig.joined(guest, "a")
    data = blocks(60_000)
    echoed: list[bytes] = []
    threads = [
        threading.Thread(target=peer.sendall, args=(data,)),
        threading.Thread(target=lambda: echoed.append(receive(peer, len(data)))),
    ]
    for thread in threads:
        thread.start()
    turns = 0
    while not echoed:
        port.poll()
        done = port.write(bytes(port.input), 7 if turns % 2 else 4096)
        del port.input[:done]
        turns += 1
        if turns % 20 == 0:
            rig.core.pause()
            rig.core.resume()
    for thread in threads:
        thread.join()
    assert echoed == [data]


def test_22_peers_that_leave_and_return_get_whole_blocks_once(make_rig: MakeRig) -> None:
    """What was on its way when a peer left is lost with it; nothing comes twice or in pieces."""
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    port = guest.open("a")
    last = -1
    for n in range(30):
        with rig.connect("a.sock") as peer:
            guest.until(lambda: port.host_connected)
            for number in range(n * 100, n * 100 + 100):
                port.write_all(b"%06d;" % number, 7)
            seen = receive(peer, 7 * (50 + n))
            numbers = [int(block) for block in seen.decode().split(";")[:-1]]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            assert numbers[0] > last
            last = numbers[-1]
        guest.until(lambda: not port.host_connected)
        port.drain()


# --- saved states


def test_23_saved_machine_goes_on_in_the_middle_of_a_chain(
    make_rig: MakeRig, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")  # takes less than it is offered when it is nearly full
    rig = make_rig("console,null", "name=a,file={dir}/fifo")
    guest = rig.guest()
    port = guest.open("a")
    guest.until(lambda: port.host_connected)
    data = blocks(20_000)
    chains = [data[at : at + 20_000] for at in range(0, len(data), 20_000)]
    for chain in chains:
        port.tx.add([chain])
    port.tx.publish()
    guest.notify(port.tx_queue)
    wait_for(lambda: rig.count("a_tx_blocked"))
    rig.core.pause()
    saved = rig.pci.save()
    assert 0 < saved["device"]["console"]["tx_taken"][1] < 20_000
    rig.pci.load(saved)
    rig.core.resume()
    with (tmp_path / "fifo").open("rb", buffering=0) as reader:
        seen = bytearray()
        while len(seen) < len(data):
            seen += reader.read(9999)
    assert seen == data


def test_23_state_of_other_ports_is_refused(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    saved = rig.pci.save()
    rig.add("name=b,null")
    with pytest.raises(StateError, match="it has other ports"):
        rig.pci.load(saved)


def test_23_state_goes_to_another_machine(make_rig: MakeRig, tmp_path: Path) -> None:
    old = make_rig(*serial("a"))
    guest = old.guest()
    old.joined(guest, "a")
    old.core.pause()
    saved, memory = old.pci.save(), old.memory.read(0, 64 * MIB)
    old.__exit__()
    new = make_rig(*serial("a"))
    new.memory.write(0, memory)
    new.pci.load(saved)
    move(guest, new)
    port = guest.ports[1]
    guest.until(lambda: not port.host_connected)  # the peer was the old machine's
    with new.connect("a.sock") as peer:
        guest.until(lambda: port.host_connected)
        peer.sendall(b"hello")
        assert port.read(5) == b"hello"
        port.write_all(b"there")
        assert receive(peer, 5) == b"there"


def move(guest: GuestConsole, rig: ConsoleRig) -> None:
    """The driver goes on in another machine with the same memory."""
    rig.driver.features = guest.driver.features
    guest.rig, guest.driver = rig, rig.driver
    guest.arena.memory = guest.memory = rig.memory
    for ring in guest.rings:
        ring.memory = rig.memory
