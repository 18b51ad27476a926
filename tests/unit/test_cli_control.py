"""Reports, state directory, signals and keys of `vmm boot` around a pretended machine."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.fakemachine import CRASH, LIB, FakeMachine, boot, raising
from tests.threadkit import thread_count
from vmm import log
from vmm.config import VmConfig
from vmm.control import signals
from vmm.control.consoles import Loss
from vmm.errors import (
    EXIT_CRASH,
    EXIT_HOST,
    EXIT_OK,
    EXIT_REPORT,
    EXIT_SIGNAL,
    GuestCrash,
    HostError,
)
from vmm.outcome import Outcome, debug_exit, outcome

pytestmark = pytest.mark.usefixtures("machine")


# --- reports --------------------------------------------------------------------------------------


def test_report_tells_how_it_ended(machine: type[FakeMachine], tmp_path: Path) -> None:
    machine.script = staticmethod(lambda _machine: debug_exit(1))
    path = tmp_path / "report.json"

    assert boot("--exit-report", str(path)) == 3
    body = json.loads(path.read_text())
    assert (body["cause"], body["code"], body["phase"]) == ("debug-exit", 3, "end")
    assert body["console"] == ["login: "]
    assert body["counters"] == {"vcpus": [{"exits": 7}]}
    assert [mark["name"] for mark in body["timings"]["marks"]] == ["start", "running"]


def test_report_of_a_crash_holds_registers_console_and_counters(
    machine: type[FakeMachine], tmp_path: Path
) -> None:
    machine.script = staticmethod(raising(GuestCrash("triple fault", CRASH)))
    path = tmp_path / "report.json"

    assert boot("--exit-report", str(path)) == EXIT_CRASH
    body = json.loads(path.read_text())
    assert (body["cause"], body["phase"], body["sentence"]) == ("crash", "run", "triple fault")
    assert body["detail"]["registers"] == {"rip": 0x1000}
    assert body["console"] == ["login: "]


@pytest.mark.parametrize("ended_by", [outcome("power-off"), GuestCrash("triple fault", CRASH)])
def test_lost_output_is_told_and_leaves_the_code_alone(
    machine: type[FakeMachine],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    ended_by: Outcome | GuestCrash,
) -> None:
    path = tmp_path / "report.json"
    if isinstance(ended_by, GuestCrash):
        machine.script = staticmethod(raising(ended_by))
    monkeypatch.setattr(machine, "losses", [Loss(console="com2", bytes=9, reason="disk full")])
    code = EXIT_CRASH if isinstance(ended_by, GuestCrash) else EXIT_OK

    assert boot("--exit-report", str(path)) == code
    assert capsys.readouterr().err.startswith("vmm: 9 bytes of com2's output are lost: disk full\n")
    body = json.loads(path.read_text())
    assert body["code"] == code
    assert body["lost"] == [{"console": "com2", "bytes": 9, "reason": "disk full"}]


def test_a_fault_in_the_counters_does_not_hide_the_ending(
    machine: type[FakeMachine],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(_self: FakeMachine) -> dict[str, object]:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(machine, "stats", broken)
    machine.script = staticmethod(lambda _machine: debug_exit(1))
    written: list[str] = []
    monkeypatch.setattr(log, "error", lambda name, **fields: written.append(f"{name} {fields}"))
    path = tmp_path / "report.json"

    assert boot("--exit-report", str(path), "--stats") == 3
    assert json.loads(path.read_text())["console"] == ["login: "]
    assert written == ["report.fact_missing {'fact': 'counters', 'error': 'oops'}"]
    assert capsys.readouterr().err == ""


def test_report_of_a_host_error_names_the_phase(
    machine: type[FakeMachine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: FakeMachine) -> FakeMachine:
        raise HostError("no /dev/kvm")

    monkeypatch.setattr(machine, "__enter__", refuse)
    path = tmp_path / "report.json"

    assert boot("--exit-report", str(path)) == EXIT_HOST
    body = json.loads(path.read_text())
    assert (body["cause"], body["code"], body["phase"]) == ("error", EXIT_HOST, "build")
    assert body["sentence"] == "no /dev/kvm"


def test_a_full_disk_has_its_own_code_and_the_outcome_is_said(
    machine: type[FakeMachine], capsys: pytest.CaptureFixture[str]
) -> None:
    machine.script = staticmethod(lambda _machine: debug_exit(1))

    assert boot("--exit-report", "/dev/full") == EXIT_REPORT
    assert capsys.readouterr().err.splitlines() == [
        "vmm: cannot write the exit report /dev/full: No space left on device",
        "vmm: how it ended: the guest wrote 1 to isa-debug-exit (code 3)",
    ]


def test_an_impossible_report_stops_before_the_guest_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert boot("--exit-report", "/no/dir/report.json") == EXIT_HOST
    assert "there is no directory /no/dir" in capsys.readouterr().err
    assert FakeMachine.made == []


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_stats_go_to_stderr(capsys: pytest.CaptureFixture[str], form: list[str]) -> None:
    assert boot("--stats", *form) == EXIT_OK
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        '{"vcpus": [{"exits": 7}]}\n' if form else "vcpus\n  0.exits  7\n"
    )  # fmt: skip


# --- state directory and control socket -----------------------------------------------------------


def ask(path: Path, *commands: str) -> list[dict[str, Any]]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        lines = sock.makefile("rb")
        lines.readline()
        answers = []
        for command in ("qmp_capabilities", *commands):
            sock.sendall(json.dumps({"execute": command}).encode())
            answers.append(json.loads(lines.readline()))
        lines.close()
        return answers[1:]


def test_control_socket_serves_while_the_machine_runs(
    machine: type[FakeMachine], tmp_path: Path
) -> None:
    answers: list[dict[str, Any]] = []

    def script(running: FakeMachine) -> Outcome:
        running.on_event("RESET", {"resets": 1})
        running.on_event("STOP", {"cause": "stopped"})
        answers.extend(ask(tmp_path / "control.sock", "query-status", "stats", "events", "stop"))
        return running.posted[0]

    machine.script = staticmethod(script)

    assert boot("--state-dir", str(tmp_path)) == EXIT_OK
    status, stats, events, stopped = (answer["return"] for answer in answers)
    assert status == {"status": "running", "running": True}
    assert stats == {"vcpus": [{"exits": 7}]}
    assert [event["event"] for event in events] == ["RESET", "SHUTDOWN"]
    assert stopped == {}
    assert sorted(os.listdir(tmp_path)) == ["config.toml", "report.json"]
    assert json.loads((tmp_path / "report.json").read_text())["detail"] == {
        "reason": "control socket"
    }
    assert VmConfig.from_toml((tmp_path / "config.toml").read_text()) == FakeMachine.made[0].config
    assert thread_count(at_most=1) == 1


def test_control_socket_is_gone_before_the_machine_is(
    machine: type[FakeMachine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    there: list[bool] = []
    monkeypatch.setattr(
        machine, "__exit__", lambda *_: there.append((tmp_path / "control.sock").exists())
    )
    machine.script = staticmethod(raising(HostError("no luck")))

    assert boot("--state-dir", str(tmp_path)) == EXIT_HOST
    assert there == [False]
    assert (tmp_path / "report.json").exists()


def test_state_directory_in_use_is_refused(tmp_path: Path, machine: type[FakeMachine]) -> None:
    codes: list[int] = []

    def script(_machine: FakeMachine) -> Outcome:
        machine.script = staticmethod(lambda _machine: outcome("power-off"))
        codes.append(boot("--state-dir", str(tmp_path)))
        return outcome("power-off")

    machine.script = staticmethod(script)

    assert boot("--state-dir", str(tmp_path)) == EXIT_OK
    assert codes == [EXIT_HOST]
    assert json.loads((tmp_path / "report.json").read_text())["code"] == EXIT_OK


# --- signals and keys -----------------------------------------------------------------------------


@pytest.mark.parametrize("number", signals.ENDING)
def test_a_signal_ends_the_machine_in_order(
    machine: type[FakeMachine], capsys: pytest.CaptureFixture[str], number: int
) -> None:
    before = [signal.getsignal(other) for other in signals.ENDING]

    def script(running: FakeMachine) -> Outcome:
        signal.raise_signal(number)
        signal.raise_signal(signal.SIGTERM)
        return running.posted[0]

    machine.script = staticmethod(script)

    assert boot() == EXIT_SIGNAL
    assert capsys.readouterr().err == f"vmm: stopped by {signal.Signals(number).name}\n"
    assert [signal.getsignal(other) for other in signals.ENDING] == before
    assert len(FakeMachine.made[0].posted) == 1


def test_a_signal_while_building_cleans_up_and_is_reported(
    machine: type[FakeMachine],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(_self: FakeMachine) -> FakeMachine:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("went on")

    monkeypatch.setattr(machine, "__enter__", interrupted)
    path = tmp_path / "report.json"

    assert boot("--exit-report", str(path)) == EXIT_SIGNAL
    assert capsys.readouterr().err == "vmm: stopped by SIGTERM\n"
    assert json.loads(path.read_text())["cause"] == "signal"


def test_escape_key_reaches_the_machine(
    machine: type[FakeMachine], capsys: pytest.CaptureFixture[str]
) -> None:
    def script(running: FakeMachine) -> Outcome:
        for key in b"hcx":
            running.hardware.loop.handlers[LIB.LOOP_ESCAPE](key, None)
        return running.posted[0]

    machine.script = staticmethod(script)

    assert boot() == EXIT_OK
    said = capsys.readouterr().err
    assert said.startswith("Ctrl-A x      end the machine\n")
    assert said.endswith("\nvmm: running, 1 vCPU, 7 exits\n")
