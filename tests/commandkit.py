"""Running the command `vmm boot` as a process, for the tests of what its user sees."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.guests import BUILD

PATIENCE = 60.0  # seconds after which something hangs
PASSED = 1  # isa-debug-exit with 0
SPIN = ["-k", str(BUILD / "crash.elf"), "-a", "how=spin"]
CRASH = str(BUILD / "crash.elf")
BENCH = str(BUILD / "bench.elf")


def command(*argv: str) -> list[str]:
    return [sys.executable, "-m", "vmm", "boot", *argv]


def boot(*argv: str, before: Sequence[str] = (), **more: Any) -> subprocess.CompletedProcess[str]:
    """`vmm boot ARGV` to its end; `before` are words in front, a shell's for instance."""
    return subprocess.run(
        [*before, *command(*argv)],
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


ENDS = {
    "exit": "b000 e6f4 ebfe",  # debug exit with 0
    "spin": "ebfe",
}


def guest_saying(folder: Path, text: bytes, then: str) -> str:
    """The path of a boot sector that sends `text` to COM1 and ends as ENDS says."""
    code = bytes.fromhex(
        "31c0 8ed8 fc be407c bafd03"  # xor %ax, %ax; mov %ax, %ds; cld; mov $text, %si; mov LSR
        "ec a820 74fb"  # 1: in %dx, %al; test $THRE, %al; jz 1b
        "ac 84c0 7407"  # lodsb; test %al, %al; jz 2f
        "b2f8 ee b2fd ebef" + ENDS[then]  # out %al to the data register; jmp 1b
    )
    image = folder / f"saying-{then}"
    image.write_bytes((code.ljust(0x40, b"\0") + text + b"\0").ljust(510, b"\0") + b"\x55\xaa")
    return str(image)
