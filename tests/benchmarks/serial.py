"""Bytes through ttyS0: CPU between two marks around 128 KiB, self-tests of ciphers off."""

from __future__ import annotations

from tests.benchmarks import guest, tools
from tests.benchmarks.boot import APPEND, PATIENCE, prefer_reader, warm_up
from tests.benchmarks.process import Watched, say
from tests.benchmarks.results import Measures


def measure(rounds: int) -> Measures:
    """CPU seconds and exits per byte; the first of `rounds` only warms up."""
    found = Measures()
    initrd, append = guest.pouring(), f"{APPEND} cryptomgr.notests"
    prefer_reader()
    subjects = {
        "vmm": tools.vmm_linux(append, initrd),
        "qemu microvm": tools.qemu_linux(append, initrd),
    }
    for argv in subjects.values():
        warm_up(argv)
    for number in range(1, rounds):
        for name, argv in subjects.items():
            say(f"serial: {name}, round {number}")
            for what, value in poured(argv).items():
                found.add(f"serial/{what}/{name}", value)
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
