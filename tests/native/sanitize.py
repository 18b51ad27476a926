"""Builds a C program of tests/native/c with units of the core under a sanitizer, and runs it.

The core compiles alone, without Python, so that the sanitizers see all of a program. A sanitizer's
report ends the program with status 66 and is shown as the failure.
"""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import time
from pathlib import Path

from cffi_build.build import core_dirs

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
CORE = TOP / "cffi_build" / "core"
UNITS = {path.name: path for path in CORE.rglob("*.c")}
HEADERS = (*CORE.rglob("*.h"), *CORE.parent.glob("*.h"))
INCLUDES = [f"-I{folder}" for folder in (*core_dirs(), CORE.parent)]
BUILD = TOP / "build" / "sanitizers"
CC = os.environ.get("CC", "gcc")
FLAGS = ["-std=gnu11", "-O1", "-g", "-fno-omit-frame-pointer", "-Wall", "-Wextra", "-Werror"]
FLAGS += ["-Wno-unused-parameter"]
SANITIZERS = {
    "thread": "-fsanitize=thread",
    "address": "-fsanitize=address,undefined",
}
REPORT = 66
STALE_SECONDS = 3600  # no run of the tests still wants what was made for sources of that time

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
BLK = ("blk.c", "blk_threads.c", "blk_uring.c")
VNET = (
    "vnet.c", "vnet_control.c", "vnet_features.c", "vnet_rx.c", "vnet_state.c", "vnet_tx.c",
    "vnet_vhost.c",
)  # fmt: skip
VCON = ("vcon.c", "vcon_control.c", "vcon_data.c", "vcon_port.c", "vcon_state.c")
VBLK = ("vblk.c", "vblk_make.c", "vblk_request.c", "vblk_state.c")
IRQCHIP = ("irq.c", "intx.c", "pic.c", "pic_chip.c", "ioapic.c", "ioapic_life.c", "router.c")
UART = (
    *CHAN,
    "timer.c",
    "coalesce.c",
    "kvmwait.c",
    "irq.c",
    "intx.c",
    "uart.c",
    "uart_line.c",
    "uart_life.c",
)


def build(source: Path, units: tuple[str, ...], sanitizer: str, *also: Path) -> Path:
    """The executable for `source` and `also`, which may include any file of the core.

    Objects and programs are kept in build/sanitizers, by what they are made of: a unit is compiled
    once for all programs, and nothing that has not changed is compiled again.
    """
    flags = [*FLAGS, SANITIZERS[sanitizer], "-fno-sanitize-recover=all"]
    flags += [*INCLUDES, f"-I{source.parent}"]
    headers = (*HEADERS, *source.parent.glob("*.h"))
    parts = []
    for path in (*(UNITS[unit] for unit in units), source, *also):
        reads = headers if path in UNITS.values() else (*headers, *UNITS.values())
        words = [*flags, "-c", str(path)]
        parts.append(made(f"{sanitizer}-{path.stem}.o", words, (path, *sorted(reads))))
    return made(f"{sanitizer}-{source.stem}", [*flags, *map(str, parts), "-lpthread"])


def made(
    name: str, words: list[str], reads: tuple[Path, ...] = (), folder: Path | None = None
) -> Path:
    """The compiler's output for `words`, run in `folder`; it may be that of an earlier time."""
    key = hashlib.sha256("\0".join([*words, *map(_content, reads)]).encode()).hexdigest()[:16]
    path = BUILD / f"{key}-{name}"
    if path.exists():
        return path
    BUILD.mkdir(parents=True, exist_ok=True)
    for stale in BUILD.glob(f"*-{name}"):
        if time.time() - stale.stat().st_mtime > STALE_SECONDS:
            stale.unlink(missing_ok=True)
    unfinished = path.with_name(f"{os.getpid()}-{path.name}")
    subprocess.run([CC, *words, "-o", str(unfinished)], cwd=folder, check=True)
    return unfinished.replace(path)  # in one step: another run may be making the same


@functools.cache
def _content(path: Path) -> str:
    return path.read_text()


def run(program: str, units: tuple[str, ...], sanitizer: str) -> str:
    """Builds and runs; what the program printed. AssertionError with its report if it failed."""
    options = f"exitcode={REPORT}:halt_on_error=1:detect_leaks=1"
    environment = {
        **os.environ,
        "TSAN_OPTIONS": options.rpartition(":")[0],
        "ASAN_OPTIONS": options,
    }
    # Without address randomization: mappings may lie where thread sanitizer has its shadow.
    command = ["setarch", "-R", str(build(HERE / "c" / f"{program}.c", units, sanitizer))]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout
