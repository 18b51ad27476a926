"""Ports that are consoles, on terminals and in files; numbers as in docs/console.md."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

from tests.native.vconrig import MakeRig, receive
from tests.vcondriver import MULTIPORT
from vmm.layout import MIB


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
