"""A control socket around a pretended machine, and a client that writes what it likes."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.threadkit import thread_count
from vmm.control.events import EventLog
from vmm.control.qmp import ControlServer
from vmm.control.verbs import Target
from vmm.errors import StateError


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

    def attach_device(self, device: str) -> dict[str, object]:
        self.calls.append(f"attach {device}")
        return {"id": "new", "address": "00:01.0"}

    def resize_disk(self, name: str) -> int:
        self.calls.append(f"resize {name}")
        return 4096

    def detach_device(self, name: str) -> None:
        self.calls.append(f"detach {name}")

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
        target = Target(machine=self.machine, events=self.events, version=(1, 2, 3), watching=[])  # type: ignore[arg-type]
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


@contextmanager
def serving(path: Path) -> Iterator[Setup]:
    """A `Setup` that must leave no file, descriptor or thread behind."""
    fds, threads = len(os.listdir("/proc/self/fd")), thread_count()
    made = Setup(path)
    yield made
    made.close()
    assert not os.path.exists(made.path)
    assert len(os.listdir("/proc/self/fd")) == fds
    assert thread_count(at_most=threads) <= threads
