"""Stands in for vmm.machine, so that all around it can be tested without KVM."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator

import pytest

from vmm import log
from vmm.__main__ import main
from vmm.config import VmConfig
from vmm.control.consoles import Loss
from vmm.outcome import Outcome, outcome


class FakeConsoles:
    def __init__(self, _machine: FakeMachine) -> None:
        self.ports: list[object] = []

    def terminals(self) -> list[tuple[str, str]]:
        return []

    def lead(self) -> str:
        return ""


LIB = types.SimpleNamespace(LOOP_ESCAPE=1, LOOP_PEER_LOST=2)
CRASH = {
    "vcpu": 0,
    "kvm": {"exit": "SHUTDOWN"},
    "registers": {"rip": 0x1000},
    "code": "0f 0b",
    "exits": [],
}


class FakeLoop:
    def __init__(self) -> None:
        self.handlers: dict[int, Callable[[int, object], None]] = {}

    def on(self, kind: int, handler: Callable[[int, object], None]) -> None:
        self.handlers[kind] = handler


class FakeMachine:
    """Stands in for vmm.machine.Machine; `script` says what run() does."""

    made: list[FakeMachine] = []
    losses: list[Loss] = []
    script: Callable[[FakeMachine], Outcome] = staticmethod(lambda machine: outcome("power-off"))

    def __init__(self, config: VmConfig) -> None:
        self.config = config
        self.state = "new"
        self.timeline = [("start", 10**9), ("running", 2 * 10**9)]
        loop = FakeLoop()
        loops = types.SimpleNamespace(all=(loop,))
        self.hardware = types.SimpleNamespace(loop=loop, loops=loops, devices=[])
        self.on_event: Callable[[str, dict[str, object]], None] = lambda _name, _fields: None
        self.posted: list[Outcome] = []
        self.closed = False
        FakeMachine.made.append(self)

    def __enter__(self) -> FakeMachine:
        self.state = "ready"
        return self

    def __exit__(self, *_exception: object) -> None:
        self.closed = True
        self.state = "closed"

    def run(self) -> Outcome:
        self.state = "running"
        return type(self).script(self)

    def post(self, message: Outcome) -> None:
        self.posted.append(message)

    def wake_when_readable(self, fd: int) -> None:
        self.waker = fd

    def stop(self, cause: str = "stopped", **detail: object) -> None:
        self.posted.append(outcome(cause, **detail))

    def stats(self) -> dict[str, object]:
        return {"vcpus": [{"exits": 7}]}

    def info(self) -> dict[str, object]:
        return {"name": self.config.name, "state": self.state}

    def boot_marks(self) -> list[tuple[str, int]]:
        return []

    def console_tail(self) -> bytes:
        return b"login: "


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeMachine]]:
    """The class of machines that `vmm boot` makes in this test; those made are in `made`."""
    module = types.ModuleType("vmm.machine")
    module.Machine = FakeMachine  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vmm.machine", module)
    monkeypatch.setitem(sys.modules, "vmm.native", types.SimpleNamespace(lib=LIB))
    monkeypatch.setitem(
        sys.modules,
        "vmm.control.consoles",
        types.SimpleNamespace(Consoles=FakeConsoles, losses=lambda _machine: FakeMachine.losses),
    )
    monkeypatch.setitem(
        sys.modules, "vmm.crash", types.SimpleNamespace(as_text=lambda report: "REGISTERS")
    )
    monkeypatch.setitem(
        sys.modules, "vmm.inspection", types.SimpleNamespace(kvm_stats=lambda _machine: {})
    )
    monkeypatch.setattr(FakeMachine, "made", [])
    monkeypatch.setattr(FakeMachine, "losses", [])
    monkeypatch.setattr(FakeMachine, "script", staticmethod(lambda _machine: outcome("power-off")))
    yield FakeMachine
    log.configure("warning", "auto")


def raising(error: BaseException) -> Callable[[FakeMachine], Outcome]:
    def script(_machine: FakeMachine) -> Outcome:
        raise error

    return script


def boot(*argv: str) -> int:
    return main(["boot", "-k", "image", *argv])
