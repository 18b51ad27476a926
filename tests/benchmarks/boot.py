"""A stock kernel's boot to the first line of its initramfs: CPU, exits and memory at that mark."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.benchmarks import guest, tools
from tests.benchmarks.process import Watched, say
from tests.benchmarks.results import Measures

APPEND = "console=ttyS0 quiet"
PATIENCE = 120.0
WARM_UP = 0.5  # CPU seconds after which a monitor has read its images
EXITS = ("exits", "io_exits", "mmio_exits", "halt_exits", "irq_exits")


def subjects() -> dict[str, list[str]]:
    initrd = guest.speaking()
    return {
        "vmm": tools.vmm_linux(APPEND, initrd),
        "vmm --kaslr": tools.vmm_linux(APPEND, initrd, ["--kaslr"]),
        "qemu microvm": tools.qemu_linux(APPEND, initrd),
    }


def measure(rounds: int) -> Measures:
    """Figures of whole boots, after one of each that was cut short to have read every file once."""
    found = Measures()
    prefer_reader()
    for argv in subjects().values():
        warm_up(argv)
    for number in range(1, rounds):
        for name, argv in subjects().items():
            say(f"boot: {name}, round {number}")
            for what, value in booted(argv).items():
                found.add(f"boot/{what}/{name}", value)
    return found


def prefer_reader() -> None:
    """This process runs the moment a mark comes; what it starts is scheduled as ever."""
    os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def warm_up(argv: list[str]) -> None:
    say(f"warming up {Path(argv[0]).name}")
    with Watched(argv) as run:
        while run.cpu_ns() < WARM_UP * 1e9:
            time.sleep(0.05)
        run.end(signal.SIGTERM)  # in order: vmm then keeps the bytecode it has read


def booted(argv: list[str]) -> dict[str, float]:
    """One boot: seconds of CPU, KVM's exit counters and bytes of memory, at the mark."""
    with Watched(argv) as run:
        run.until(guest.HELLO, PATIENCE)
        figures: dict[str, float] = {"cpu": run.cpu_ns() / 1e9}
        stats = run.kvm_stats()
        figures |= {name: stats[name] for name in EXITS}
        return figures | run.memory(tools.GUEST_MIB << 20)
