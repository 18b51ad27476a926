"""Consoles that are reset, paused, saved and loaded; numbers as in docs/console.md."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from tests.native.vconrig import ConsoleRig, MakeRig, drink, pour, receive, serial
from tests.vcondriver import PORT_ADD, GuestConsole
from tests.virtiopci import wait_for
from vmm.errors import StateError
from vmm.layout import MIB

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
    threads = [pour(peer, data), drink(peer, len(data), echoed.append)]
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
