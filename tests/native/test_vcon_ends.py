"""A console's port that gets another end while it lives; numbers as in docs/console.md."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import pytest

from tests.native.vconrig import ConsoleRig, MakeRig, receive, serial
from vmm.errors import HostError
from vmm.layout import KIB, MIB


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
