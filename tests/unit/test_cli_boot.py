"""`vmm boot` from argv to exit code, around a machine that is only pretended."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vmm import log
from vmm.__main__ import main
from vmm.config import VmConfig
from vmm.control import signals
from vmm.errors import (
    EXIT_CRASH,
    EXIT_HOST,
    EXIT_IMAGE,
    EXIT_INTERNAL,
    EXIT_KVM,
    EXIT_OK,
    EXIT_REPORT,
    EXIT_RESET,
    EXIT_SIGNAL,
    EXIT_TIMEOUT,
    EXIT_USAGE,
    BootError,
    GuestCrash,
    HostError,
    KvmError,
)
from vmm.outcome import Outcome, debug_exit, outcome, signalled

CRASH = {
    "vcpu": 0,
    "kvm": {"exit": "SHUTDOWN"},
    "registers": {"rip": 0x1000},
    "code": "0f 0b",
    "exits": [],
}


class FakeLoop:
    def on(self, kind: int, handler: Callable[[int, object], None]) -> None:
        self.handler = handler


class FakeMachine:
    """Stands in for vmm.machine.Machine; `script` says what run() does."""

    made: list[FakeMachine] = []
    script: Callable[[FakeMachine], Outcome] = staticmethod(lambda machine: outcome("power-off"))

    def __init__(self, config: VmConfig) -> None:
        self.config = config
        self.state = "new"
        self.timeline = [("start", 10**9), ("running", 2 * 10**9)]
        self.hardware = types.SimpleNamespace(loop=FakeLoop(), devices=[])
        self.on_event: Callable[[str, dict[str, object]], None] = lambda _name, _fields: None
        self.posted: list[Outcome] = []
        self.closed = False
        FakeMachine.made.append(self)

    def __enter__(self) -> FakeMachine:
        self.state = "ready"
        return self

    def __exit__(self, *_exception: object) -> None:
        self.closed = True

    def run(self) -> Outcome:
        self.state = "running"
        return type(self).script(self)

    def post(self, message: Outcome) -> None:
        self.posted.append(message)

    def stop(self, cause: str = "stopped", **detail: object) -> None:
        self.posted.append(outcome(cause, **detail))

    def stats(self) -> dict[str, object]:
        return {"vcpus": [{"exits": 7}]}

    def info(self) -> dict[str, object]:
        return {"name": self.config.name, "state": self.state}

    def console_tail(self) -> bytes:
        return b"login: "


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeMachine]]:
    module = types.ModuleType("vmm.machine")
    module.Machine = FakeMachine  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vmm.machine", module)
    monkeypatch.setitem(
        sys.modules, "vmm.native", types.SimpleNamespace(lib=types.SimpleNamespace(LOOP_ESCAPE=1))
    )
    monkeypatch.setitem(
        sys.modules, "vmm.control.consoles", types.SimpleNamespace(Consoles=lambda _machine: None)
    )
    monkeypatch.setitem(
        sys.modules, "vmm.crash", types.SimpleNamespace(as_text=lambda report: "REGISTERS")
    )
    monkeypatch.setitem(
        sys.modules, "vmm.inspection", types.SimpleNamespace(kvm_stats=lambda _machine: {})
    )
    monkeypatch.setattr(FakeMachine, "made", [])
    monkeypatch.setattr(FakeMachine, "script", staticmethod(lambda _machine: outcome("power-off")))
    yield FakeMachine
    log.configure("warning", "auto")


def raising(error: BaseException) -> Callable[[FakeMachine], Outcome]:
    def script(_machine: FakeMachine) -> Outcome:
        raise error

    return script


def boot(*argv: str) -> int:
    return main(["boot", "-k", "image", *argv])


# --- endings --------------------------------------------------------------------------------------


def test_power_off_is_silent_and_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert boot() == EXIT_OK
    assert capsys.readouterr() == ("", "")
    assert FakeMachine.made[0].closed


@pytest.mark.parametrize(
    ("ended", "code", "words"),
    [
        (outcome("reset"), EXIT_RESET, "reset itself"),
        (outcome("timeout", seconds=3.0), EXIT_TIMEOUT, "still running after 3 seconds"),
        (outcome("panic", seen="pvpanic"), 255, "panicked"),
        (signalled(signal.SIGHUP), EXIT_SIGNAL, "stopped by SIGHUP"),
        (debug_exit(0x10), 33, ""),
        (outcome("stopped"), EXIT_OK, ""),
    ],
)
def test_endings_have_codes_and_one_sentence(
    machine: type[FakeMachine],
    capsys: pytest.CaptureFixture[str],
    ended: Outcome,
    code: int,
    words: str,
) -> None:
    machine.script = staticmethod(lambda _machine: ended)

    assert boot() == code
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == (1 if words else 0)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (HostError("no /dev/kvm"), EXIT_HOST, "vmm: no /dev/kvm\n"),
        (
            KvmError("KVM_RUN", 22, "vCPU 0"),
            EXIT_KVM,
            "vmm: KVM_RUN (vCPU 0) failed: Invalid argument\n",
        ),
        (BootError("bad image"), EXIT_IMAGE, "vmm: bad image\n"),
        (GuestCrash("triple fault", CRASH), EXIT_CRASH, "REGISTERS\nvmm: triple fault\n"),
        (KeyboardInterrupt(), EXIT_SIGNAL, "vmm: interrupted\n"),
        (FileNotFoundError(2, "No such file", "x"), EXIT_HOST, "vmm: cannot use x: No such file\n"),
        (
            ExceptionGroup("two", [KvmError("KVM_RUN", 5), HostError("and more")]),
            EXIT_KVM,
            "vmm: KVM_RUN failed: Input/output error\nvmm: also: and more\n",
        ),
        (
            ZeroDivisionError("oops"),
            EXIT_INTERNAL,
            "vmm: internal error: ZeroDivisionError: oops; --debug shows where\n",
        ),
    ],
)
def test_errors_become_sentences_and_codes(
    machine: type[FakeMachine],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    machine.script = staticmethod(raising(error))

    assert boot() == code
    assert capsys.readouterr().err == said
    assert FakeMachine.made[0].closed


def test_debug_shows_the_traceback_and_keeps_the_code(
    machine: type[FakeMachine], capsys: pytest.CaptureFixture[str]
) -> None:
    machine.script = staticmethod(raising(HostError("no luck")))

    assert boot("--debug") == EXIT_HOST
    assert "Traceback" in capsys.readouterr().err


def test_debug_behind_dashes_belongs_to_the_guest(
    machine: type[FakeMachine], capsys: pytest.CaptureFixture[str]
) -> None:
    machine.script = staticmethod(raising(HostError("no luck")))

    assert boot("--", "--debug") == EXIT_HOST
    assert "Traceback" not in capsys.readouterr().err
    assert FakeMachine.made[0].config.append == "--debug"


def test_usage_errors_name_each_problem(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boot", "--kernl", "x", "-m", "lots"]) == EXIT_USAGE
    assert capsys.readouterr().err.splitlines() == [
        "vmm: there is no option --kernl; did you mean --kernel?",
        "vmm: unexpected word 'x': options start with -, the kernel's words follow --",
        "vmm: -m wants a size such as 512M, 6G or 0x20000000, not 'lots'",
    ]
    assert FakeMachine.made == []


def test_control_characters_never_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boot", "--\x1b[31mred"]) == EXIT_USAGE
    assert "\x1b" not in capsys.readouterr().err


# --- actions that end before the machine ----------------------------------------------------------


def test_dumped_configuration_boots_the_same_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["-m", "1G", "-c", "4", "--cpu", "none,+x2apic", "--", "quiet"]
    assert boot("--dump-config", *argv) == EXIT_OK
    path = tmp_path / "vm.toml"
    path.write_text(capsys.readouterr().out)

    boot(*argv)
    main(["boot", "--config", str(path)])

    assert FakeMachine.made[0].config == FakeMachine.made[1].config


def test_dry_run_makes_no_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"")

    assert main(["boot", "-k", str(image), "--dry-run", "-c", "2"]) == EXIT_OK
    assert capsys.readouterr().out == f"would boot {image} with 2 vCPUs and 512M of memory\n"
    assert FakeMachine.made == []


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["-k", "/no/kernel"], EXIT_IMAGE),
        (["-k", "{image}", "-i", "/no/initrd"], EXIT_IMAGE),
        (["-k", "{image}", "--module", "/no/module x"], EXIT_IMAGE),
        (["-k", "{image}", "--exit-report", "/no/dir/r.json"], EXIT_HOST),
        (["-k", "{image}", "--console", "file:/no/dir/log"], EXIT_HOST),
    ],
)
def test_dry_run_finds_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], code: int
) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"")

    assert main(["boot", "--dry-run", *(word.format(image=image) for word in argv)]) == code
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "/no/" in said


def test_stop_before_run_shows_the_machine_and_does_not_run_it(
    machine: type[FakeMachine], capsys: pytest.CaptureFixture[str]
) -> None:
    machine.script = staticmethod(raising(AssertionError("ran")))

    assert boot("--stop-before=run", "--json") == EXIT_OK
    assert json.loads(capsys.readouterr().err) == {"name": "vmm", "state": "ready"}
    assert FakeMachine.made[0].closed


# --- reports --------------------------------------------------------------------------------------


def test_report_tells_how_it_ended(machine: type[FakeMachine], tmp_path: Path) -> None:
    machine.script = staticmethod(lambda _machine: debug_exit(1))
    path = tmp_path / "report.json"

    assert boot("--exit-report", str(path)) == 3
    body = json.loads(path.read_text())
    assert (body["cause"], body["code"], body["phase"]) == ("debug-exit", 3, "end")
    assert body["console"] == ["login: "]
    assert body["counters"] == {"vcpus": [{"exits": 7}], "kvm": {}}
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
        '{"vcpus": [{"exits": 7}], "kvm": {}}\n' if form else "vcpus\n  0.exits  7\n"
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
    assert threading.active_count() == 1


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
            running.hardware.loop.handler(key, None)
        return running.posted[0]

    machine.script = staticmethod(script)

    assert boot() == EXIT_OK
    said = capsys.readouterr().err
    assert "Ctrl-A x      end the machine\r\n" in said
    assert "vmm: running, 1 vCPU, 7 exits\r\n" in said
