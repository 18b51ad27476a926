"""The control socket: dialogue, events, and QMP's own client library."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from qemu.qmp import QMPClient
from qemu.qmp.qmp_client import ExecuteError

from tests.qmpkit import Setup, serving
from vmm.control.events import KEPT
from vmm.control.verbs import VERBS


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    with serving(tmp_path) as made:
        yield made


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


def test_devices_come_and_go_by_command(setup: Setup) -> None:
    peer = setup.connect()
    wanted = {"device": "pci-testdev,id=new"}

    made = peer.ask({"execute": "attach-device", "arguments": wanted})
    for command in ("detach-device", "device_del"):
        assert peer.ask({"execute": command, "arguments": {"id": "new"}}) == {"return": {}}
        assert peer.fail({"execute": command})[0] == "GenericError"

    assert made == {"return": {"id": "new", "address": "00:01.0"}}
    assert setup.machine.calls == ["attach pci-testdev,id=new", "detach new", "detach new"]


def test_disk_is_resized_by_command(setup: Setup) -> None:
    peer = setup.connect()

    done = peer.ask({"execute": "resize-disk", "arguments": {"id": "disk"}})

    assert done == {"return": {"bytes": 4096}}
    assert setup.machine.calls == ["resize disk"]


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
