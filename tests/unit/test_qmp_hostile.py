"""Peers of the control socket that mean no good, and places it cannot be put."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.qmpkit import FakeMachine, Setup, serving
from vmm.control.events import EventLog
from vmm.control.framing import MESSAGE_MAX
from vmm.control.qmp import CLIENTS_MAX, UNREAD_MAX, ControlServer
from vmm.control.verbs import Target
from vmm.errors import HostError


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    with serving(tmp_path) as made:
        yield made


# --- hostile peers --------------------------------------------------------------------------------


def test_a_half_message_then_silence_delays_nobody(setup: Setup) -> None:
    silent, peer = setup.connect(), setup.connect()
    silent.sock.sendall(b'{"execute": "pau')

    assert peer.ask({"execute": "query-status"})["return"]

    silent.close()
    assert peer.ask({"execute": "query-status"})["return"]
    assert setup.machine.calls == []


def test_a_huge_message_is_refused_and_the_peer_dropped(setup: Setup) -> None:
    peer = setup.connect()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        peer.sock.sendall(b'{"execute": "' + b"x" * (4 * MESSAGE_MAX))

    with contextlib.suppress(ConnectionResetError):
        assert "longer than" in json.dumps(peer.read())
    assert peer.ended()
    assert setup.connect().ask({"execute": "query-status"})


def test_garbage_gets_an_error_and_the_connection_lives(setup: Setup) -> None:
    peer = setup.connect()
    peer.sock.sendall(b"GET / HTTP/1.1\r\n")

    assert "error" in peer.read()
    assert peer.ask({"execute": "query-version"})["return"]


def test_a_peer_that_never_reads_is_dropped(setup: Setup) -> None:
    peer = setup.connect()
    asked = 0
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while asked * 100_000 < 4 * UNREAD_MAX:
            peer.sock.sendall(b'{"execute": "info"}')
            asked += 1
        peer.sock.sendall(b'{"execute": "info"}' * 1000)

    with contextlib.suppress(ConnectionResetError):
        assert len(peer.lines.read()) < 4 * UNREAD_MAX
    assert setup.connect().ask({"execute": "query-status"})


def test_one_client_too_many_is_told_and_closed(setup: Setup) -> None:
    peers = [setup.connect() for _ in range(CLIENTS_MAX)]

    refused = setup.connect(negotiate=False)

    assert "in use" in json.dumps(refused.greeting)
    assert refused.ended()
    peers.pop().close()
    assert peers[0].ask({"execute": "query-status"})
    assert setup.connect().ask({"execute": "query-status"})


def test_clients_that_come_and_go_leave_nothing_behind(setup: Setup) -> None:
    setup.connect().ask({"execute": "query-status"})
    before = len(os.listdir("/proc/self/fd"))

    for _ in range(100):
        setup.connect(negotiate=False).close()

    peer = setup.connect()
    for _ in range(5):
        peer.ask({"execute": "query-status"})
    peer.close()
    setup.connect().ask({"execute": "query-status"})
    assert len(setup.server._clients) <= 3
    assert len(os.listdir("/proc/self/fd")) <= before + 6


def test_a_client_that_resets_mid_answer_is_forgotten(setup: Setup) -> None:
    for _ in range(20):
        peer = setup.connect()
        peer.sock.sendall(b'{"execute": "info"}' * 3)
        peer.close()

    assert setup.connect().ask({"execute": "query-status"})


# --- the socket itself ----------------------------------------------------------------------------


def test_only_the_owner_may_connect(setup: Setup) -> None:
    assert os.stat(setup.path).st_mode & 0o777 == 0o600


def test_a_socket_left_by_a_dead_process_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control.sock"))

    setup = Setup(tmp_path)

    assert setup.connect().ask({"execute": "query-status"})
    setup.close()


def test_a_socket_in_use_is_left_alone(setup: Setup) -> None:
    target = Target(machine=setup.machine, events=setup.events, version=(0, 0, 0), watching=[])  # type: ignore[arg-type]

    with pytest.raises(HostError, match="cannot listen on"):
        ControlServer(setup.path, target)

    assert setup.connect().ask({"execute": "query-status"})


def test_a_path_too_long_for_a_socket_is_one_sentence(tmp_path: Path) -> None:
    target = Target(machine=FakeMachine(), events=EventLog(), version=(0, 0, 0), watching=[])  # type: ignore[arg-type]

    with pytest.raises(HostError, match="107 bytes"):
        ControlServer(str(tmp_path / ("x" * 108)), target)
