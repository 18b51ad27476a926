"""Bytes through the ports of a virtio console; numbers are those of the list in docs/console.md."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.native.vconrig import ConsoleRig, receive
from tests.vcondriver import MULTIPORT
from tests.virtiopci import wait_for

KIB, MIB = 1 << 10, 1 << 20
PORT = "name={n},socket={{dir}}/{n}.sock"

MakeRig = Callable[..., ConsoleRig]


def serial(*names: str) -> list[str]:
    return [PORT.format(n=name) for name in names]


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[MakeRig]:
    made: list[ConsoleRig] = []

    def make(*ports: str, **more: object) -> ConsoleRig:
        made.append(ConsoleRig(tmp_path, *ports, **more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for rig in made:
        rig.__exit__()


def pour(peer: socket.socket, data: bytes) -> threading.Thread:
    """Sends from a thread of its own."""
    thread = threading.Thread(target=peer.sendall, args=(data,))
    thread.start()
    return thread


def drink(peer: socket.socket, length: int, result: Callable[[bytes], object]) -> threading.Thread:
    """Receives on a thread of its own."""
    thread = threading.Thread(target=lambda: result(receive(peer, length)))
    thread.start()
    return thread


# --- opening and closing


def test_01_opening_and_closing_by_the_guest_is_known(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    port = guest.port("a")
    for _ in range(5):
        port.open()
        wait_for(lambda: rig.console.ports[1].guest_open)
        port.close()
        wait_for(lambda: not rig.console.ports[1].guest_open)
    changes = [fields["guest-open"] for name, fields in rig.events if name == "PORT_CHANGE"]
    assert set(changes) == {True, False}


def test_03_06_the_guest_hears_of_the_hosts_end(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    port = guest.open("a")
    assert not port.host_connected
    for n in range(1, 4):
        with rig.connect("a.sock"):
            guest.until(lambda: port.host_connected)
        guest.until(lambda: not port.host_connected)
        assert port.opens == [1, 0] * n


def test_06_output_to_a_host_that_left_does_not_hold_the_writer(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    port, peer = rig.joined(guest, "a")
    port.write(b"w" * (300 * KIB))  # more than the socket takes
    peer.close()
    port.drain()
    guest.until(lambda: not port.host_connected)
    assert rig.count("a_tx_discarded") > 0
    with rig.connect("a.sock") as peer:
        guest.until(lambda: port.host_connected)
        port.write_all(b"again")
        assert receive(peer, 5) == b"again"


def test_10_what_the_host_sends_before_the_guest_opens_is_not_lost(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    port = guest.port("a")
    data = random.Random(10).randbytes(MIB)
    with rig.connect("a.sock") as peer:
        sending = pour(peer, data)
        rig.settle()
        assert not port.written
        port.open()
        assert port.read(len(data)) == data
        sending.join()


def test_10_last_words_come_before_the_end(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    port = guest.port("a")
    with rig.connect("a.sock") as peer:
        guest.until(lambda: port.host_connected)
        peer.sendall(b"last words")
    port.open()
    assert port.read(10) == b"last words"
    guest.until(lambda: not port.host_connected)


# --- moving data


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


# --- consoles


def test_console_drops_its_oldest_bytes_and_counts_them(make_rig: MakeRig) -> None:
    rig = make_rig("console,socket={dir}/c.sock")
    guest = rig.guest()
    guest.until(lambda: 0 in guest.ports and guest.ports[0].guest_connected)
    port = guest.ports[0]
    assert port.host_connected
    data = random.Random(14).randbytes(3 * MIB)
    port.write_all(data)
    port.drain()
    with rig.connect("c.sock") as peer:
        mark = b"\r\n[vmm: %d bytes lost]\r\n" % (2 * MIB)
        assert receive(peer, len(mark) + MIB) == mark + data[-MIB:]
    assert rig.count("hvc0_dropped") == 2 * MIB


def test_console_that_blocks_holds_the_guest_back(make_rig: MakeRig) -> None:
    rig = make_rig("console,overflow=block,socket={dir}/c.sock")
    guest = rig.guest()
    guest.until(lambda: 0 in guest.ports and guest.ports[0].guest_connected)
    port = guest.ports[0]
    data = random.Random(15).randbytes(3 * MIB)
    at = 0
    while rig.count("hvc0_tx_blocked") == 0:
        at += port.write(data[at:])
    assert at < 2 * MIB
    with rig.connect("c.sock") as peer:
        writing = threading.Thread(target=port.write_all, args=(data[at:],))
        writing.start()
        assert receive(peer, len(data)) == data
        writing.join()
    assert rig.count("hvc0_dropped") == 0


def test_25_console_takes_keys_and_shows_text(make_rig: MakeRig) -> None:
    rig = make_rig("console,socket={dir}/c0.sock", "console,socket={dir}/c1.sock")
    guest = rig.guest()
    guest.until(lambda: len(guest.ports) == 2)
    guest.until(lambda: all(port.guest_connected for port in guest.ports.values()))
    for number in (0, 1):
        with rig.connect(f"c{number}.sock") as peer:
            peer.sendall(b"root\r")
            port = guest.ports[number]
            assert port.read(5) == b"root\r"
            port.write_all(b"login: ")
            assert receive(peer, 7) == b"login: "


def test_console_without_ports_is_open_from_the_start(make_rig: MakeRig) -> None:
    rig = make_rig("console,socket={dir}/c.sock")
    guest = rig.guest(decline=MULTIPORT)
    port = guest.ports[0]
    with rig.connect("c.sock") as peer:
        peer.sendall(b"key")
        assert port.read(3) == b"key"
        port.write_all(b"text")
        assert receive(peer, 4) == b"text"


def test_device_of_one_console_offers_no_ports(make_rig: MakeRig) -> None:
    rig = make_rig("console,ring", options={"max_ports": 1, "multiport": False})
    assert rig.driver.get("num_queues") == 2
    guest = rig.guest()
    assert not guest.multiport
    guest.ports[0].write_all(b"text")
    guest.ports[0].drain()
    assert rig.console.ports[0].chan.take(10) == b"text"


def test_panic_line_and_tail_work_as_on_a_serial_port(make_rig: MakeRig) -> None:
    from vmm.native import lib

    rig = make_rig("console,null")
    seen = threading.Event()
    rig.loop.on(lib.LOOP_PANIC_LINE, lambda _value, _source: seen.set())
    guest = rig.guest()
    guest.until(lambda: 0 in guest.ports and guest.ports[0].guest_connected)
    guest.ports[0].write_all(b"[    1.0] Kernel panic - not syncing: no init\n", 16)
    assert seen.wait(20)
    assert rig.console.ports[0].chan.tail().endswith(b"no init\n")


# --- other ends


def test_named_port_on_a_terminal_is_connected_while_it_is_open(make_rig: MakeRig) -> None:
    rig = make_rig("name=a,pty")
    guest = rig.guest()
    port = guest.open("a")
    path = rig.console.ports[1].chan.path
    for n in range(1, 4):
        terminal = os.open(path, os.O_RDWR | os.O_NOCTTY)
        guest.until(lambda: port.host_connected)
        port.write_all(b"hello\n")
        assert os.read(terminal, 100) == b"hello\n"
        os.write(terminal, b"keys")
        assert port.read(4) == b"keys"
        os.close(terminal)
        guest.until(lambda: not port.host_connected)
        assert port.opens == [1, 0] * n


def test_named_port_into_a_file_is_always_connected(make_rig: MakeRig, tmp_path: Path) -> None:
    rig = make_rig("name=a,file={dir}/log", "name=b,null", "name=c,ring", "name=p,pipe={dir}/p")
    guest = rig.guest()
    for name in "abcp":
        port = guest.open(name)
        guest.until(lambda port=port: port.host_connected)
        port.write_all(b"line\n" * 10_000)
        port.drain()
        if name == "p":
            break  # nobody reads there
    assert (tmp_path / "log").read_bytes() == b"line\n" * 10_000
    assert len(rig.console.ports[3].chan.take(1 << 20)) == 50_000
    rig.console.ports[3].chan.feed(b"typed")
    assert guest.ports[3].read(5) == b"typed"
