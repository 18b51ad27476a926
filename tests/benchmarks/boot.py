"""A stock kernel's boot to the first line of its initramfs: CPU, exits, memory, upcalls.

The last round traces why KVM_RUN returned, which costs time; its other figures do not count.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.benchmarks import guest, tools
from tests.benchmarks.process import Failed, Watched
from tests.benchmarks.results import Measures

APPEND = "console=ttyS0 quiet"
PATIENCE = 60.0
TRACING = Path("/sys/kernel/tracing/events/kvm/kvm_userspace_exit")
HISTOGRAM = "hist:keys=reason,errno"
ROW = re.compile(r"\{ reason: +(?:\w+ )?\[? *(\w+)\]?, errno: +(\d+) \} hitcount: +(\d+)")
REASONS = {"2": "io", "5": "hlt", "6": "mmio", "8": "shutdown", "10": "interrupted"}
EXITS = ("exits", "io_exits", "mmio_exits", "halt_exits", "irq_exits", "request_irq_exits")
COUNTED_EXITS = 9  # figures of one round: see measure()


def subjects() -> dict[str, list[str]]:
    initrd = guest.speaking()
    return {
        "vmm": tools.vmm_linux(APPEND, initrd),
        "vmm kaslr": tools.vmm_linux(APPEND, initrd, ["--kaslr"]),
        "qemu microvm": tools.qemu_linux(APPEND, initrd),
    }


def measure(rounds: int, prefix: str = "boot") -> Measures:
    """Round 0 warms up, the last of `rounds` traces, those between are the figures."""
    found = Measures()
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # reads the mark the moment it comes
    for number in range(rounds):
        for name, argv in subjects().items():
            if number == rounds - 1:
                for reason, count in traced(argv).items():
                    found.add(f"{prefix}/user exits {reason}/{name}", count)
            else:
                figures = booted(argv)
                for what, value in figures.items():
                    if number:
                        found.add(f"{prefix}/{what}/{name}", value)
    return found


def booted(argv: list[str]) -> dict[str, float]:
    """One boot: seconds of CPU, KVM's exit counters and bytes of memory, at the mark."""
    with Watched(argv) as run:
        run.until(guest.HELLO, PATIENCE)
        figures: dict[str, float] = {"cpu": run.cpu_ns() / 1e9}
        stats = run.kvm_stats()
        figures |= {name: stats[name] for name in EXITS}
        return figures | run.memory(tools.GUEST_MIB << 20)


def traced(argv: list[str]) -> dict[str, int]:
    """Returns of KVM_RUN by reason, all of them as "total"."""
    trigger = TRACING / "trigger"
    trigger.write_text(HISTOGRAM)
    try:
        with Watched(argv) as run:
            run.until(guest.HELLO, PATIENCE)
            rows = ROW.findall((TRACING / "hist").read_text())
    finally:
        trigger.write_text(f"!{HISTOGRAM}")
    if not rows:
        raise Failed(f"{TRACING}/hist tells nothing")
    counts: dict[str, int] = {}
    for reason, errno, hits in rows:
        name = REASONS.get(reason, reason) if errno == "0" else "interrupted"
        counts[name] = counts.get(name, 0) + int(hits)
    return counts | {"total": sum(n for name, n in counts.items() if name != "interrupted")}
