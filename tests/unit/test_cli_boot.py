"""`vmm boot` from argv to exit code, around a machine that is only pretended."""

from __future__ import annotations

import json
import os
import signal
import types
from pathlib import Path

import pytest

from tests import bootkit
from tests.fakemachine import CRASH, FakeMachine, boot, raising
from vmm.__main__ import main
from vmm.errors import (
    EXIT_CRASH,
    EXIT_HOST,
    EXIT_IMAGE,
    EXIT_INTERNAL,
    EXIT_KVM,
    EXIT_OK,
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

pytestmark = pytest.mark.usefixtures("machine")

SECTOR = bytes(510) + b"\x55\xaa"  # what a BIOS would start


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


def test_devices_that_no_driver_used_are_named_with_the_option_they_need(
    machine: type[FakeMachine], capsys: pytest.CaptureFixture[str]
) -> None:
    needs = {"rng0": "CONFIG_HW_RANDOM_VIRTIO", "own": "", "com1": None}

    def script(machine: FakeMachine) -> Outcome:
        for name, option in needs.items():
            unused = lambda option=option: option  # noqa: E731
            machine.hardware.devices.append(types.SimpleNamespace(name=name, unused=unused))
        return outcome("power-off")

    machine.script = staticmethod(script)

    assert boot() == EXIT_OK
    assert capsys.readouterr().err.splitlines() == [
        "vmm: the guest never used rng0: a Linux guest needs CONFIG_HW_RANDOM_VIRTIO, built in or "
        "as a loaded module",
        "vmm: the guest never used own",
    ]


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


def test_dry_run_says_what_would_be_booted_and_makes_no_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = bootkit.write(tmp_path / "image", SECTOR)

    assert main(["boot", "-k", image, "--dry-run", "-c", "2", "-m", "64M"]) == EXIT_OK
    first, *pieces = capsys.readouterr().out.splitlines()
    assert first == (
        f"would boot {image} (flat, as flat) with 2 vCPUs and 64M of memory, entered at 0x7c00:"
    )
    assert "  0x000007c00..0x000007e00 flat image" in pieces
    assert FakeMachine.made == []


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["-k", "/no/kernel"], EXIT_IMAGE),
        (["-k", "{image}", "-i", "/no/initrd"], EXIT_IMAGE),
        (["-k", "{image}", "--module", "/no/module x"], EXIT_IMAGE),
        (["-k", "{image}", "--exit-report", "/no/dir/r.json"], EXIT_HOST),
        (["-k", "{image}", "--console", "file:/no/dir/log"], EXIT_HOST),
        (["-k", "{image}", "--console", "pipe:/no/dir/log"], EXIT_HOST),
    ],
)
def test_dry_run_finds_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], code: int
) -> None:
    image = bootkit.write(tmp_path / "image", SECTOR)

    assert main(["boot", "--dry-run", *(word.format(image=image) for word in argv)]) == code
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "/no/" in said


@pytest.mark.parametrize("console", ["connect:/no/socket", "fd:9", "ring:64K", "null"])
def test_dry_run_asks_for_no_place_where_a_console_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, console: str
) -> None:
    image = bootkit.write(tmp_path / "image", SECTOR)
    monkeypatch.setattr(os, "access", lambda *_: False)

    assert main(["boot", "--dry-run", "-k", image, "--console", console]) == EXIT_OK


def test_stop_before_run_shows_the_machine_and_does_not_run_it(
    machine: type[FakeMachine], capsys: pytest.CaptureFixture[str]
) -> None:
    machine.script = staticmethod(raising(AssertionError("ran")))

    assert boot("--stop-before=run", "--json") == EXIT_OK
    assert json.loads(capsys.readouterr().err) == {"name": "vmm", "state": "ready"}
    assert FakeMachine.made[0].closed
