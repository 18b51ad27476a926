"""Why KVM_RUN returned during a stock kernel's boot, and how often vmm entered Python for it.

Tracing costs time, hence runs of its own.
"""

from __future__ import annotations

import json
import re
import signal
import tempfile
from pathlib import Path

from tests.benchmarks import boot, guest
from tests.benchmarks.process import Failed, Watched, say
from tests.benchmarks.results import Measures

TRACING = Path("/sys/kernel/debug/tracing/events/kvm/kvm_userspace_exit")
HISTOGRAM = "hist:keys=reason,errno"
ROW = re.compile(r"\{ reason: +(\d+), errno: +(\d+) \} hitcount: +(\d+)")
REASONS = {"2": "io", "5": "hlt", "6": "mmio", "7": "irq window", "8": "shutdown"}
INTERRUPTED = "interrupted"


def measure(_rounds: int) -> Measures:
    """Exits to user space by reason, their sum as "all", and vmm's calls into Python."""
    found = Measures()
    for argv in boot.subjects().values():
        boot.warm_up(argv)
    for name, argv in boot.subjects().items():
        say(f"reasons: {name}")
        for reason, count in reasons(name, argv).items():
            found.add(f"reasons/{reason}/{name}", count)
    return found


def reasons(name: str, argv: list[str]) -> dict[str, int]:
    if not name.startswith("vmm"):
        return traced(argv)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        counts = traced([*argv, "--exit-report", str(report)])
        told = json.loads(report.read_text())["counters"]
    return counts | {"python": told["upcalls"]["count"]}


def traced(argv: list[str]) -> dict[str, int]:
    """Counts up to the mark. The monitor is then asked to end, so that it writes its report."""
    trigger = TRACING / "trigger"
    trigger.write_text(HISTOGRAM)
    try:
        with Watched(argv) as run:
            run.until(guest.HELLO, boot.PATIENCE)
            rows = ROW.findall((TRACING / "hist").read_text())
            run.end(signal.SIGTERM)
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
