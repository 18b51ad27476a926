"""What `vmm boot` says and writes when it ends: exit code, sentence, exit report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commandkit import BENCH, CRASH, PASSED, PATIENCE, boot, command
from tests.guests import BUILD
from vmm.errors import (
    EXIT_CRASH,
    EXIT_HOST,
    EXIT_PANIC,
    EXIT_REPORT,
    EXIT_RESET,
    EXIT_TIMEOUT,
)

pytestmark = pytest.mark.needs("kvm")


@pytest.mark.parametrize(
    ("argv", "code", "cause", "said"),
    [
        (["-k", str(BUILD / "hello.elf"), "--debug-exit"], PASSED, "debug-exit", ""),
        ([CRASH, "triple"], EXIT_CRASH, "crash", "The guest crashed: "),
        ([CRASH, "garbage"], EXIT_CRASH, "crash", "The guest crashed: "),
        ([CRASH, "pvpanic"], EXIT_PANIC, "panic", "the guest panicked"),
        ([CRASH, "hlt", "--timeout", "0.5"], EXIT_TIMEOUT, "timeout", "after 0.5 seconds"),
        ([str(BUILD / "reset.elf"), "acpi", "--reboot=exit"], EXIT_RESET, "reset", "reset itself"),
    ],
)
def test_exit_code_sentence_and_report_agree(
    tmp_path: Path, argv: list[str], code: int, cause: str, said: str
) -> None:
    if argv[0] != "-k":
        argv = ["-k", argv[0], "-a", f"how={argv[1]}", *argv[2:]]
    path = tmp_path / "report.json"

    done = boot(*argv, "--exit-report", str(path))

    body = json.loads(path.read_text())
    assert (done.returncode, body["code"], body["cause"]) == (code, code, cause)
    assert said in done.stderr
    assert said in body["sentence"] or said == ""
    assert "Traceback" not in done.stderr
    assert body["counters"]["vcpus"][0]["exits"] > 0
    assert body["console"]


def test_report_of_a_crash_holds_everything_known(tmp_path: Path) -> None:
    path = tmp_path / "report.json"

    done = boot("-k", CRASH, "-a", "how=triple", "--exit-report", str(path))

    body = json.loads(path.read_text())
    assert body["console"][-1] == "# about to crash by triple"
    assert {"vcpu", "kvm", "registers", "code", "exits"} <= body["detail"].keys()
    assert f"rip {body['detail']['registers']['rip']:016x}" in done.stderr
    names = [mark["name"] for mark in body["timings"]["marks"]]
    assert names.index("start") < names.index("running") < names.index("crash")


def test_what_a_guest_writes_to_port_80_stands_in_the_timeline(tmp_path: Path) -> None:
    path = tmp_path / "report.json"

    boot("-k", BENCH, "-a", "ops=out80 n=10 rounds=1", "--debug-exit", "--exit-report", str(path))

    names = [mark["name"] for mark in json.loads(path.read_text())["timings"]["marks"]]
    assert names.count("port 0x80: 0x00") == 1
    assert names.index("running") < names.index("port 0x80: 0x00") < names.index("debug-exit")


def test_report_draws_as_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    boot("-k", str(BUILD / "hello.elf"), "--debug-exit", "--exit-report", str(path))

    done = subprocess.run(
        [sys.executable, "-m", "vmm", "plot", str(path)], capture_output=True, text=True, check=True
    )

    assert "Boot timeline" in done.stdout
    assert "pio-write 0xf4 debug-exit" in done.stdout


def test_full_disk_for_the_report_still_says_how_the_guest_ended() -> None:
    done = boot("-k", str(BUILD / "hello.elf"), "--debug-exit", "--exit-report", "/dev/full")

    assert done.returncode == EXIT_REPORT
    assert done.stderr.splitlines() == [
        "vmm: cannot write the exit report /dev/full: No space left on device",
        "vmm: how it ended: the guest wrote 0 to isa-debug-exit (code 1)",
    ]


def test_an_impossible_place_for_the_report_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "no" / "report.json"

    done = boot("-k", str(BUILD / "hello.elf"), "--debug-exit", "--exit-report", str(path))

    assert done.returncode == EXIT_HOST
    assert done.stderr.splitlines() == [
        f"vmm: cannot write the exit report {path}: there is no directory {path.parent}"
    ]


def test_a_file_size_limit_below_the_memory_is_one_sentence() -> None:
    image = str(BUILD / "hello.elf")
    # Blocks of 512 bytes: less than the guest's memory, more than Python's own files.
    limited = ["/bin/sh", "-c", 'ulimit -f 16384; exec "$@"', "sh", *command("-k", image)]

    done = subprocess.run(limited, capture_output=True, text=True, check=False, timeout=PATIENCE)

    assert done.returncode == EXIT_HOST
    assert len(done.stderr.splitlines()) == 1
    assert "ulimit -f unlimited" in done.stderr
