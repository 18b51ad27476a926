"""`vmm xenstore` and the store behind the control socket, with no machine around it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.qmpkit import Peer, Setup
from vmm.__main__ import main
from vmm.errors import EXIT_OK, EXIT_SIGNAL, EXIT_USAGE
from vmm.loop import IoLoop
from vmm.memory import GuestMemory
from vmm.xen.xenstore import OUTSIDE_MAX, XenStore

DEEP = 1400  # levels: more than an interpreter calls itself


class Rig(Setup):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.memory, self.loop, self.folder = GuestMemory(1 << 20), IoLoop(), str(folder)
        context: Any = SimpleNamespace(loop=self.loop, memory=self.memory, notify=self.events.emit)
        self.xenstore = XenStore(context)
        services = SimpleNamespace(xenstore=self.xenstore)
        machine: Any = self.machine
        machine.need = lambda *_wish: None
        machine.hardware = SimpleNamespace(xen=SimpleNamespace(services=services))

    def end(self) -> None:
        """As the machine ends."""
        if os.path.exists(self.path):
            self.close()

    def watches(self) -> int:
        return len(self.xenstore.outside.watches)

    def run(self, *words: str) -> int:
        return main(["xenstore", words[0], "-s", self.folder, *words[1:]])

    def start(self, *words: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
        command = (sys.executable, "-m", "vmm", "xenstore", words[0], "-s", self.folder, *words[1:])
        return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.end()
    rig.xenstore.close()
    rig.loop.close()
    rig.memory.close()


def eventually(condition: Any) -> bool:
    give_up = time.monotonic() + 30
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.01)
    return True


def watch(peer: Peer, path: str, how: str = "watch") -> dict[str, object]:
    return peer.ask({"execute": f"xenstore-{how}", "arguments": {"path": path}})


def test_watches_end_with_the_connection_that_made_them(rig: Rig) -> None:
    stays, goes = rig.connect(), rig.connect()
    for peer, path in ((goes, "/a"), (goes, "/a"), (goes, "/b"), (stays, "/b")):
        peer.sock.sendall(
            json.dumps({"execute": "xenstore-watch", "arguments": {"path": path}}).encode()
        )
        while "return" not in peer.read():
            pass
    assert rig.watches() == 2

    goes.close()
    rig.peers.remove(goes)

    assert eventually(lambda: rig.watches() == 1)
    assert list(rig.xenstore.outside.watches) == [("/b", "/b")]


def test_watches_do_not_run_out_with_clients_that_die(rig: Rig) -> None:
    for _ in range(OUTSIDE_MAX // 8 + 1):
        peer = rig.connect()
        for number in range(8):
            watch(peer, f"/{number}")
        peer.close()
        rig.peers.remove(peer)
        assert eventually(lambda: rig.watches() == 0)


def test_nobody_ends_the_watch_of_another_connection(rig: Rig) -> None:
    mine, other = rig.connect(), rig.connect()
    mine.ask({"execute": "xenstore-watch", "arguments": {"path": "/a"}})

    other.sock.sendall(b'{"execute": "xenstore-unwatch", "arguments": {"path": "/a"}}')
    answer = other.read()
    while "event" in answer:
        answer = other.read()

    assert answer["error"] == {
        "class": "GenericError",
        "desc": "this connection does not watch /a",
    }
    assert rig.watches() == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_ends_a_watch_in_order(rig: Rig, number: int) -> None:
    process = rig.start("watch", "/a")
    assert process.stdout is not None
    assert process.stdout.readline() == b"/a\n"  # the first event comes at once

    process.send_signal(number)
    _out, err = process.communicate(timeout=60)

    assert process.returncode == EXIT_SIGNAL
    assert err == b"\nvmm: interrupted\n"
    assert eventually(lambda: rig.watches() == 0)


def test_watch_ends_with_the_machine(rig: Rig) -> None:
    process = rig.start("watch", "/a")
    assert process.stdout is not None
    assert process.stdout.readline() == b"/a\n"

    rig.end()
    out, err = process.communicate(timeout=60)

    assert (process.returncode, out, err) == (EXIT_OK, b"", b"")


def test_value_goes_out_as_it_is(rig: Rig) -> None:
    value = bytes(range(256))
    rig.xenstore.outside_write("/a", value)
    process = rig.start("read", "/a")

    assert process.communicate(timeout=60)[0] == value + b"\n"


def test_value_goes_in_as_it_was_typed(rig: Rig, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    typed = "gr\xfcn \N{SNOWMAN}"

    assert rig.run("write", "/a", typed) == EXIT_OK
    assert rig.xenstore.outside_read("/a").value == os.fsencode(typed)
    assert rig.run("read", "/a") == EXIT_OK

    assert capfdbinary.readouterr().out == os.fsencode(typed) + b"\n"


def test_terminal_gets_nothing_but_what_it_prints(rig: Rig) -> None:
    rig.xenstore.outside_write("/a", b"\x1b]0;mine\x07 \xc3\xa4 \xff\r\n\x9b")
    ours, theirs = pty.openpty()
    process = rig.start("read", "/a", stdout=theirs)
    process.communicate(timeout=60)
    shown = os.read(ours, 4096)
    os.close(ours)
    os.close(theirs)

    assert shown.decode() == "\\x1b]0;mine\\x07 \xe4 \\xff\\r\\n\\x9b\r\n"


def test_deep_trees_are_listed(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    rig.xenstore.outside_write("/x", b"1")
    rig.xenstore.outside_write("/d" * DEEP, b"deep")

    assert rig.run("ls", "--recursive") == EXIT_OK

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == DEEP + 1
    assert lines[:2] == ['/x = "1"  (n0)', '/d = ""  (n0)']
    assert lines[-1].startswith("/d" * DEEP + " = ")


def test_node_that_is_not_there_is_told(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    assert rig.run("ls", "/none") == EXIT_USAGE
    assert capsys.readouterr().err == "vmm: xenstore refuses /none: there is no such node\n"
