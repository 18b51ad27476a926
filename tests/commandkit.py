"""Running the command `vmm boot` as a process, for the tests of what its user sees."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.guests import BUILD

PATIENCE = 60.0  # seconds after which something hangs
PASSED = 1  # isa-debug-exit with 0
SPIN = ["-k", str(BUILD / "crash.elf"), "-a", "how=spin"]
CRASH = str(BUILD / "crash.elf")
BENCH = str(BUILD / "bench.elf")


def command(*argv: str) -> list[str]:
    return [sys.executable, "-m", "vmm", "boot", *argv]


def boot(*argv: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*argv),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        **more,
    )


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "gave up waiting"
        time.sleep(0.01)
