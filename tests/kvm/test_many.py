"""Many machines: at the same time, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests import guests

pytestmark = pytest.mark.needs("kvm")

SECONDS = 120


def test_twenty_guests_at_once_end_well_and_leave_no_process() -> None:
    guests.build()
    command = [sys.executable, "-m", "vmm", "boot", "--kernel", str(guests.BUILD / "hello.elf")]
    command += ["--debug-exit", "--mem", "32M", "--timeout", str(SECONDS)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        for _guest in range(20)
    ]
    outputs = [process.communicate(timeout=2 * SECONDS)[0] for process in processes]

    assert [process.returncode for process in processes] == [1] * 20
    assert all(b"ok 2 debugcon" in output for output in outputs)
    assert not _children()


def _children() -> list[str]:
    found = subprocess.run(
        ["ps", "-o", "comm=", "--ppid", str(os.getpid())],
        capture_output=True,
        text=True,
        check=False,
    )
    return [name for name in found.stdout.split() if name != "ps"]
