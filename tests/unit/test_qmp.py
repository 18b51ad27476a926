"""The control socket: framing, dialogue, events, hostile peers, and QMP's own client library."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qemu.qmp import QMPClient
from qemu.qmp.qmp_client import ExecuteError

from vmm.control.events import KEPT, EventLog
from vmm.control.framing import DEPTH_MAX, MESSAGE_MAX, FramingError, Splitter
from vmm.control.qmp import CLIENTS_MAX, UNREAD_MAX, ControlServer
from vmm.control.verbs import VERBS, Target
from vmm.errors import HostError, StateError


class FakeMachine:
    """Keeps a state and a list of what was asked of it."""

    def __init__(self) -> None:
        self.state = "running"
        self.calls: list[str] = []

    def pause(self) -> None:
        if self.state != "running":
            raise StateError(f"cannot pause a machine that is {self.state}")
        self.calls.append("pause")
        self.state = "paused"

    def resume(self) -> None:
        self.calls.append("resume")
        self.state = "running"

    def stop(self, reason: str) -> None:
        self.calls.append(f"stop {reason}")

    def reset(self) -> None:
        raise ZeroDivisionError("broken on purpose")

    def power_button(self) -> None:
        self.calls.append("power button")

    def stats(self) -> dict[str, object]:
        return {"vcpu": [{"exits": 7}]}

    def info(self) -> dict[str, object]:
        return {"name": "vmm", "blob": "x" * 100_000}


class Setup:
    def __init__(self, path: Path) -> None:
        self.machine = FakeMachine()
        self.events = EventLog(clock=lambda: 1234.5)
        target = Target(machine=self.machine, events=self.events, version=(1, 2, 3))  # type: ignore[arg-type]
        self.path = str(path / "control.sock")
        self.server = ControlServer(self.path, target)
        self.server.start()
        self.peers: list[Peer] = []

    def connect(self, negotiate: bool = True) -> Peer:
        self.peers.append(Peer(self.path, negotiate))
        return self.peers[-1]

    def close(self) -> None:
        self.server.close()
        for peer in self.peers:
            peer.close()


class Peer:
    """A plain client that writes what it likes and reads line by line."""

    def __init__(self, path: str, negotiate: bool = True) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(path)
        self.lines = self.sock.makefile("rb")
        self.greeting = self.read()
        if negotiate:
            assert self.ask({"execute": "qmp_capabilities"}) == {"return": {}}

    def read(self) -> dict[str, object]:
        value = json.loads(self.lines.readline())
        assert isinstance(value, dict)
        return value

    def ask(self, message: object) -> dict[str, object]:
        self.sock.sendall(json.dumps(message).encode())
        return self.read()

    def fail(self, message: object) -> tuple[str, str]:
        error = self.ask(message)["error"]
        assert isinstance(error, dict)
        return error["class"], error["desc"]

    def ended(self) -> bool:
        with contextlib.suppress(ConnectionResetError):
            return self.lines.read() == b""
        return True

    def close(self) -> None:
        self.lines.close()
        self.sock.close()


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    fds, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    made = Setup(tmp_path)
    yield made
    made.close()
    assert not os.path.exists(made.path)
    assert len(os.listdir("/proc/self/fd")) == fds
    assert threading.active_count() == threads


# --- framing --------------------------------------------------------------------------------------


def split(*pieces: bytes) -> list[object]:
    splitter = Splitter()
    found = [item for piece in pieces for item in splitter.feed(piece)]
    return [str(item) if isinstance(item, FramingError) else item for item in found]


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_objects_need_no_newlines_and_may_come_in_pieces(step: int) -> None:
    stream = b' {"a": "}\\"{"}{"b": [{}]}\r\n\n{\n"c": {}\n}'
    pieces = [stream[at : at + step] for at in range(0, len(stream), step)]

    assert split(*pieces) == [{"a": '}"{'}, {"b": [{}]}, {"c": {}}]


@pytest.mark.parametrize(
    "garbage", [b"hello\n", b"[1, 2]\n", b'"text"\n', b"\xff\xfe\n", b"12 ", b"}}}\n"]
)
@pytest.mark.parametrize("step", [1, 1000])
def test_garbage_is_answered_once_and_skipped(garbage: bytes, step: int) -> None:
    stream = garbage + b'{"a": 1}'
    pieces = [stream[at : at + step] for at in range(0, len(stream), step)]

    assert split(*pieces) == ["a message must be a JSON object", {"a": 1}]


@pytest.mark.parametrize(
    "bad", [b'{"a":}', b'{"a": NaN}', b"{]", b'{"a": "\xff"}', b"{1: 2}", b'{"a" "b"}']
)
def test_an_object_that_is_not_json_is_one_error(bad: bytes) -> None:
    first, second = split(bad + b'{"a": 1}')

    assert str(first).startswith("not valid JSON")
    assert second == {"a": 1}


def test_a_number_too_long_to_convert_is_an_error() -> None:
    assert str(split(b'{"a": ' + b"9" * 5000 + b"}")[0]).startswith("not valid JSON")


def test_a_newline_inside_a_string_starts_afresh() -> None:
    assert split(b'{"execute": "st\n{"a": 1}') == [
        "a string may not hold a bare newline",
        {"a": 1},
    ]


def test_the_longest_message_passes_and_a_longer_one_is_fatal() -> None:
    longest = b'{"a":"' + b"x" * (MESSAGE_MAX - 8) + b'"}'

    assert len(split(longest)) == 1
    assert split(longest) == [{"a": "x" * (MESSAGE_MAX - 8)}]
    assert split(longest.replace(b"x", b"xx", 1)) == [
        f"a message is longer than {MESSAGE_MAX} bytes"
    ]


def test_an_endless_message_is_not_kept() -> None:
    splitter = Splitter()

    found = [item for _ in range(100) for item in splitter.feed(b'{"a' + b" " * 4096)]

    assert any(isinstance(item, FramingError) and item.fatal for item in found)
    assert len(splitter._held) <= MESSAGE_MAX + 4100


def test_the_deepest_message_passes_and_a_deeper_one_is_fatal() -> None:
    def nested(depth: int) -> bytes:
        return b'{"a":' * depth + b"1" + b"}" * depth

    assert isinstance(split(nested(DEPTH_MAX))[0], dict)
    assert split(nested(DEPTH_MAX + 1))[0] == f"a message nests deeper than {DEPTH_MAX}"


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_no_bytes_make_the_splitter_fail(pieces: list[bytes]) -> None:
    joined = split(b"".join(pieces))

    assert all(isinstance(item, dict | str) for item in joined)
    assert len(split(*pieces)) >= 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(
    st.lists(st.dictionaries(st.text(max_size=4), json_values, max_size=3), max_size=4),
    st.integers(1, 20),
)
def test_whatever_json_writes_is_split_again(objects: list[object], step: int) -> None:
    stream = b"".join(json.dumps(item, indent=None).encode() for item in objects)
    pieces = [stream[at : at + step] for at in range(0, len(stream), step)]

    assert split(*pieces) == objects


# --- dialogue -------------------------------------------------------------------------------------


def test_greeting_names_version_and_capabilities(setup: Setup) -> None:
    greeting = setup.connect(negotiate=False).greeting["QMP"]

    assert greeting == {
        "version": {"qemu": {"major": 1, "minor": 2, "micro": 3}, "package": "vmm 1.2.3"},
        "capabilities": [],
    }


def test_commands_before_negotiation_are_refused(setup: Setup) -> None:
    peer = setup.connect(negotiate=False)

    assert peer.fail({"execute": "stop"})[0] == "CommandNotFound"
    assert peer.fail({"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}})[0] == (
        "GenericError"
    )
    assert setup.machine.calls == []
    assert peer.ask({"execute": "qmp_capabilities", "arguments": {"enable": []}}) == {"return": {}}
    assert peer.fail({"execute": "qmp_capabilities"})[0] == "GenericError"


def test_each_command_reaches_the_machine(setup: Setup) -> None:
    peer = setup.connect()

    for command in ("pause", "resume", "pause", "cont", "system_powerdown", "quit"):
        assert peer.ask({"execute": command}) == {"return": {}}
    assert peer.ask({"execute": "stop", "arguments": {"reason": "enough"}}) == {"return": {}}
    assert peer.ask({"execute": "stats"}) == {"return": {"vcpu": [{"exits": 7}]}}

    assert setup.machine.calls == [
        "pause", "resume", "pause", "resume", "power button", "stop control socket", "stop enough",
    ]  # fmt: skip


def test_status_follows_the_machine(setup: Setup) -> None:
    peer = setup.connect()

    assert peer.ask({"execute": "query-status"})["return"] == {"status": "running", "running": True}
    peer.ask({"execute": "pause"})
    assert peer.ask({"execute": "query-status"})["return"] == {"status": "paused", "running": False}
    setup.machine.state = "stopped"
    assert peer.ask({"execute": "query-status"})["return"] == {
        "status": "shutdown",
        "running": False,
    }


def test_query_commands_lists_the_table(setup: Setup) -> None:
    listed = setup.connect().ask({"execute": "query-commands"})["return"]

    assert isinstance(listed, list)
    assert [row["name"] for row in listed] == list(VERBS)


@pytest.mark.parametrize("identity", [1, "a", None, [1], {"x": {}}])
def test_id_comes_back_with_results_and_errors(setup: Setup, identity: object) -> None:
    peer = setup.connect()

    assert peer.ask({"execute": "pause", "id": identity})["id"] == identity
    assert peer.ask({"execute": "nothing", "id": identity})["id"] == identity


@pytest.mark.parametrize(
    ("message", "kind", "words"),
    [
        ({"execute": "nothing"}, "CommandNotFound", "there is no command 'nothing'"),
        ({"execute": 5}, "GenericError", "execute"),
        ({}, "GenericError", "execute"),
        ({"execute": "stats", "extra": 1}, "GenericError", "'extra'"),
        ({"execute": "stats", "arguments": []}, "GenericError", "must be a JSON object"),
        ({"execute": "stats", "arguments": {"a": 1}}, "GenericError", "it takes none"),
        ({"execute": "stop", "arguments": {"why": 1}}, "GenericError", "it takes reason"),
        ({"execute": "stop", "arguments": {"reason": 1}}, "GenericError", "of type str"),
        ({"execute": "events", "arguments": {"since": True}}, "GenericError", "of type int"),
        ({"execute": "reset"}, "GenericError", "internal error: ZeroDivisionError"),
    ],
)
def test_mistakes_are_answered_and_the_connection_lives(
    setup: Setup, message: object, kind: str, words: str
) -> None:
    peer = setup.connect()

    found = peer.fail(message)

    assert found[0] == kind
    assert words in found[1]
    assert "return" in peer.ask({"execute": "query-version"})


def test_illegal_moves_are_told_in_the_machines_words(setup: Setup) -> None:
    peer = setup.connect()
    peer.ask({"execute": "pause"})

    assert peer.fail({"execute": "pause"}) == (
        "GenericError",
        "cannot pause a machine that is paused",
    )


def test_commands_sent_together_are_answered_in_order(setup: Setup) -> None:
    peer = setup.connect()
    peer.sock.sendall(
        b"".join(b'{"execute":"query-status","id":%d}' % number for number in range(200))
    )

    assert [peer.read()["id"] for _ in range(200)] == list(range(200))


# --- events ---------------------------------------------------------------------------------------


def test_events_reach_negotiated_clients_only(setup: Setup) -> None:
    shy, peer = setup.connect(negotiate=False), setup.connect()

    setup.events.emit("RESET", {"guest": True})

    assert peer.read() == {
        "event": "RESET",
        "data": {"guest": True},
        "timestamp": {"seconds": 1234, "microseconds": 500000},
    }
    assert shy.ask({"execute": "qmp_capabilities"}) == {"return": {}}


def test_events_of_many_threads_all_arrive(setup: Setup) -> None:
    peer = setup.connect()
    threads = [
        threading.Thread(target=lambda: [setup.events.emit("RESET") for _ in range(50)])
        for _ in range(4)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [peer.read()["event"] for _ in range(200)] == ["RESET"] * 200


def test_past_events_can_be_asked_for_by_number(setup: Setup) -> None:
    for number in range(KEPT + 10):
        setup.events.emit("RESET", {"number": number})
    peer = setup.connect()

    everything = peer.ask({"execute": "events"})["return"]
    late = peer.ask({"execute": "events", "arguments": {"since": KEPT + 8}})["return"]

    assert isinstance(everything, list)
    assert isinstance(late, list)
    assert len(everything) == KEPT
    assert [event["data"]["number"] for event in late] == [KEPT + 8, KEPT + 9]


def test_the_last_event_before_the_end_is_delivered(tmp_path: Path) -> None:
    setup = Setup(tmp_path)
    peer = setup.connect()

    setup.events.emit("SHUTDOWN")
    setup.server.close()

    assert peer.read()["event"] == "SHUTDOWN"
    assert peer.ended()
    peer.close()


def test_an_event_after_the_end_is_harmless(tmp_path: Path) -> None:
    setup = Setup(tmp_path)
    setup.server.close()

    setup.events.emit("SHUTDOWN")
    setup.server._announce({"event": "LATE"})

    assert setup.events.since(0)[-1]["event"] == "SHUTDOWN"


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
    target = Target(machine=setup.machine, events=setup.events, version=(0, 0, 0))  # type: ignore[arg-type]

    with pytest.raises(HostError, match="cannot listen on"):
        ControlServer(setup.path, target)

    assert setup.connect().ask({"execute": "query-status"})


def test_a_path_too_long_for_a_socket_is_one_sentence(tmp_path: Path) -> None:
    target = Target(machine=FakeMachine(), events=EventLog(), version=(0, 0, 0))  # type: ignore[arg-type]

    with pytest.raises(HostError, match="107 bytes"):
        ControlServer(str(tmp_path / ("x" * 108)), target)


# --- QMP's own client -----------------------------------------------------------------------------


def test_qemus_client_library_understands_us(setup: Setup) -> None:
    async def talk() -> list[object]:
        client = QMPClient("test")
        await client.connect(setup.path)
        found = [await client.execute("query-status"), await client.execute("stats")]
        with pytest.raises(ExecuteError) as caught:
            await client.execute("nothing")
        found.append(caught.value.error_class)
        with client.listener("RESET") as listener:
            setup.events.emit("RESET", {"guest": False})
            event = await listener.get()
        found.append(event["data"])
        await client.execute("stop", {"reason": "done"})
        await client.disconnect()
        return found

    assert asyncio.run(talk()) == [
        {"status": "running", "running": True},
        {"vcpu": [{"exits": 7}]},
        "CommandNotFound",
        {"guest": False},
    ]
    assert setup.machine.calls == ["stop done"]
