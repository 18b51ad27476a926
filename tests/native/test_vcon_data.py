"""Bytes through the ports of a virtio console; numbers are those of the list in docs/console.md."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from tests.native.vconrig import MakeRig, drink, pour, receive, serial
from tests.virtiopci import wait_for
from vmm.layout import KIB, MIB


@pytest.mark.parametrize("piece", [1, 2, 7, 511, 4096])
def test_11_loopback_from_port_to_port(make_rig: MakeRig, piece: int) -> None:
    rig = make_rig(*serial("a", "b"))
    guest = rig.guest()
    first, sender = rig.joined(guest, "a")
    second, receiver = rig.joined(guest, "b")
    data = random.Random(piece).randbytes(min(MIB, piece * 2000))
    got: list[bytes] = []
    threads = [pour(sender, data), drink(receiver, len(data), got.append)]
    passed = 0
    while passed < len(data):
        first.poll()
        second.write_all(bytes(first.input), piece)
        passed += len(first.input)
        first.input.clear()
    for thread in threads:
        thread.join()
    assert got == [data]


def test_11_one_port_fans_out_to_three(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("in", "x", "y", "z"))
    guest = rig.guest()
    source, sender = rig.joined(guest, "in")
    sinks = [rig.joined(guest, name) for name in ("x", "y", "z")]
    data = random.Random(11).randbytes(200 * KIB)
    sending = pour(sender, data)
    seen = source.read(len(data))
    got: list[bytes] = []
    readers = [drink(peer, len(data), got.append) for _port, peer in sinks]
    for port, _peer in sinks:
        port.write_all(seen)
    for thread in (*readers, sending):
        thread.join()
    assert got == [data] * 3


def test_11_chains_of_many_pieces_keep_their_order(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    port, peer = rig.joined(guest, "a")
    data = random.Random(12).randbytes(16384)
    pieces = [data[at : at + 1024] for at in range(0, len(data), 1024)]
    port.tx.add(pieces)
    port.tx.add(pieces, indirect=True)
    if port.tx.publish():
        guest.notify(port.tx_queue)
    assert receive(peer, 2 * len(data)) == data * 2


def test_07_echo_over_four_ports_at_once_loses_nothing(make_rig: MakeRig) -> None:
    names = ("a", "b", "c", "d")
    rig = make_rig(*serial(*names))
    guest = rig.guest()
    joined = [rig.joined(guest, name) for name in names]
    datas = [random.Random(n).randbytes(4 * MIB) for n in range(4)]
    echoed: dict[int, bytes] = {}
    threads = []
    for n, (_port, peer) in enumerate(joined):
        threads.append(pour(peer, datas[n]))
        keep = lambda data, n=n: echoed.update({n: data})  # noqa: E731
        threads.append(drink(peer, len(datas[n]), keep))

    def echo() -> bool:
        for port, _peer in joined:
            port.poll()
            done = port.write(bytes(port.input))
            del port.input[:done]
        return len(echoed) == 4

    wait_long(echo)
    for thread in threads:
        thread.join()
    assert all(echoed[n] == datas[n] for n in range(4))
    for name in names:
        assert rig.count(f"{name}_rx_bytes") == rig.count(f"{name}_tx_bytes") == 4 * MIB


def wait_long(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end


def test_12_who_does_not_read_holds_the_other_back_and_nobody_spins(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    port, peer = rig.joined(guest, "a")
    peer.setblocking(False)
    port.reading = False
    sent = taken = 0
    idle = 0
    while idle < 20:  # until neither side gets a byte through
        before = sent + taken
        taken += port.write(b"o" * (64 * KIB))
        try:
            sent += peer.send(b"i" * (64 * KIB))
        except BlockingIOError:
            time.sleep(0.01)
        idle = 0 if sent + taken > before else idle + 1
    rig.settle()
    counted = rig.loop.counters()["wakeups"]
    time.sleep(0.3)
    assert rig.loop.counters()["wakeups"] - counted <= 1
    assert taken < 2 * MIB
    assert sent < 2 * MIB
    assert rig.count("a_tx_blocked") > 0
    assert rig.count("a_rx_blocked") > 0


def test_13_empty_and_tiny_messages_pass(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    port, peer = rig.joined(guest, "a")
    port.tx.add([b""])
    for byte in b"tiny":
        port.tx.add([bytes([byte])])
    port.tx.add([], [16])  # nothing to read for the device
    port.tx.add([b"end"])
    if port.tx.publish():
        guest.notify(port.tx_queue)
    assert receive(peer, 7) == b"tinyend"
    port.drain()
    for byte in b"slow":
        peer.sendall(bytes([byte]))
        assert port.read(1) == bytes([byte])
    assert sum(port.written) == rig.count("a_rx_bytes") == 4
    assert rig.count("a_tx_bytes") == 7


def test_input_goes_into_buffers_of_any_shape(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest(decline=1 << 29)  # without event indices
    port = guest.port("a")
    port.take_back()
    shapes = [[1], [3, 5], [0, 2], [100], [1] * 20, [0], [4096, 4096]]
    with rig.connect("a.sock") as peer:
        port.open()
        rig.settle()
        chains = [port.rx.add([], shape) for shape in shapes]
        port.rx.publish()
        guest.notify(port.rx_queue)
        data = random.Random(13).randbytes(1 + 8 + 2 + 100 + 20 + 8192)
        peer.sendall(data)
        seen = bytearray()

        def come() -> bool:
            for done in port.rx.collect():
                assert done.chain in chains
                seen.extend(done.data)
            return len(seen) == len(data)

        wait_for(come)
        assert seen == data


def test_output_is_not_copied_by_way_of_a_buffer(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    port, peer = rig.joined(guest, "a")
    port.write_all(b"x" * 4096)
    assert receive(peer, 4096) == b"x" * 4096
    chan = rig.console.ports[1].chan
    assert chan.tail() == b""
    assert chan.counters()["out_bytes"] == 4096
