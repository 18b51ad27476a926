"""Builds a C program of tests/native/c with units of the core under a sanitizer, and runs it.

The core compiles alone, without Python, so that the sanitizers see all of a program. A sanitizer's
report ends the program with status 66 and is shown as the failure.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORE = HERE.parent.parent / "cffi_build" / "core"
FLAGS = ["-std=gnu11", "-O1", "-g", "-fno-omit-frame-pointer", "-Wall", "-Wextra", "-Werror"]
SANITIZERS = {
    "thread": "-fsanitize=thread",
    "address": "-fsanitize=address,undefined",
}
REPORT = 66

# What each unit needs beside itself.
LOOP = ("loop.c", "loop_event.c")
TIMER = (*LOOP, "timer.c")
CHAN = (
    *LOOP, "chan.c", "chan_watch.c", "chan_in.c", "chan_out.c", "chan_peer.c", "chan_link.c",
    "chan_opens.c", "chan_straight.c",
)  # fmt: skip
VIRTIO = (
    *TIMER, "gmem.c", "vq.c", "vq_pop.c", "iov.c", "virtio.c", "virtio_loop.c", "virtio_regs.c",
    "virtio_state.c",
)  # fmt: skip
IRQCHIP = ("irq.c", "intx.c", "pic.c", "pic_chip.c", "ioapic.c", "ioapic_life.c", "router.c")
UART = (*CHAN, "timer.c", "coalesce.c", "irq.c", "intx.c", "uart.c", "uart_line.c", "uart_life.c")


def build(program: str, units: tuple[str, ...], sanitizer: str, folder: Path) -> Path:
    """The executable for tests/native/c/`program`.c."""
    binary = folder / f"{program}-{sanitizer}"
    subprocess.run(
        [
            os.environ.get("CC", "gcc"),
            *FLAGS,
            SANITIZERS[sanitizer],
            "-fno-sanitize-recover=all",
            f"-I{CORE}",
            f"-I{CORE.parent}",
            str(HERE / "c" / f"{program}.c"),
            *(str(CORE / unit) for unit in units),
            "-lpthread",
            "-o",
            str(binary),
        ],
        check=True,
    )
    return binary


def run(program: str, units: tuple[str, ...], sanitizer: str, folder: Path) -> str:
    """Builds and runs; what the program printed. AssertionError with its report if it failed."""
    options = f"exitcode={REPORT}:halt_on_error=1:detect_leaks=1"
    environment = {
        **os.environ,
        "TSAN_OPTIONS": options.rpartition(":")[0],
        "ASAN_OPTIONS": options,
    }
    # Without address randomization: mappings may lie where thread sanitizer has its shadow.
    command = ["setarch", "-R", str(build(program, units, sanitizer, folder))]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout
