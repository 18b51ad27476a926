"""Bytes through ttyS0: CPU between two marks around 128 KiB, self-tests of ciphers off."""

from __future__ import annotations

import os

from tests.benchmarks import guest, tools
from tests.benchmarks.boot import APPEND, PATIENCE
from tests.benchmarks.process import Watched
from tests.benchmarks.results import Measures


def measure(rounds: int, prefix: str = "serial") -> Measures:
    """CPU seconds per byte and exits per byte; the first of `rounds` does not count."""
    found = Measures()
    initrd, append = guest.pouring(), f"{APPEND} cryptomgr.notests"
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    subjects = {
        "vmm": tools.vmm_linux(append, initrd),
        "qemu microvm": tools.qemu_linux(append, initrd),
    }
    for number in range(rounds):
        for name, argv in subjects.items():
            figures = poured(argv)
            for what, value in figures.items():
                if number:
                    found.add(f"{prefix}/{what}/{name}", value)
    return found


def poured(argv: list[str]) -> dict[str, float]:
    with Watched(argv) as run:
        run.until(guest.BEGIN, PATIENCE)
        cpu, exits = run.cpu_ns(), run.kvm_stats()["exits"]
        run.until(guest.END, PATIENCE)
        seconds, exits = (run.cpu_ns() - cpu) / 1e9, run.kvm_stats()["exits"] - exits
        missing = guest.PAYLOAD - run.output.count(b"x")
    if missing:
        raise ValueError(f"{missing} of {guest.PAYLOAD} bytes are missing")
    return {"per byte": seconds / guest.PAYLOAD, "exits per byte": exits / guest.PAYLOAD}
