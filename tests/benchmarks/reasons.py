"""Why KVM_RUN returned during a stock kernel's boot. Tracing costs time, hence runs of its own."""

from __future__ import annotations

import re
from pathlib import Path

from tests.benchmarks import boot, guest
from tests.benchmarks.process import Failed, Watched
from tests.benchmarks.results import Measures

TRACING = Path("/sys/kernel/debug/tracing/events/kvm/kvm_userspace_exit")
HISTOGRAM = "hist:keys=reason,errno"
ROW = re.compile(r"\{ reason: +(\d+), errno: +(\d+) \} hitcount: +(\d+)")
REASONS = {"2": "io", "5": "hlt", "6": "mmio", "7": "irq window", "8": "shutdown"}
INTERRUPTED = "interrupted"


def measure(_rounds: int) -> Measures:
    """Exits to user space by reason, and their sum as "all"."""
    found = Measures()
    for argv in boot.subjects().values():
        boot.warm_up(argv)
    for name, argv in boot.subjects().items():
        for reason, count in traced(argv).items():
            found.add(f"reasons/{reason}/{name}", count)
    return found


def traced(argv: list[str]) -> dict[str, int]:
    trigger = TRACING / "trigger"
    trigger.write_text(HISTOGRAM)
    try:
        with Watched(argv) as run:
            run.until(guest.HELLO, boot.PATIENCE)
            rows = ROW.findall((TRACING / "hist").read_text())
    finally:
        trigger.write_text(f"!{HISTOGRAM}")
    if not rows:
        raise Failed(f"{TRACING}/hist tells nothing")
    counts = {"all": 0}
    for reason, errno, hits in rows:
        name = REASONS.get(reason, reason) if errno == "0" else INTERRUPTED
        counts[name] = counts.get(name, 0) + int(hits)
        counts["all"] += int(hits) if name != INTERRUPTED else 0
    return counts
