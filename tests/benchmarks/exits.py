"""What one exit costs: guests/bench under the bare loop, vmm and QEMU, by the guest's own TSC.

In the counted lab the TSC advances once an instruction, so ticks are instructions of guest, kernel
and monitor. "raw" has the in-kernel irqchip, as the others; "raw bare" does without.
"""

from __future__ import annotations

import re
import sys

from tests.benchmarks import tools
from tests.benchmarks.process import Failed, cpu_of
from tests.benchmarks.results import Measures
from vmm import layout

ELF, MULTIBOOT = str(tools.BUILD / "bench.elf"), str(tools.BUILD / "bench.mb")
DOORBELL, RING, DEVICE = 0x1600, 0x1602, 0x1604
PIIX4_PM_TIMER = 0x608
RESULT = re.compile(r"# bench op=(\S+) n=(\d+) ticks=(\d+)")
PLAIN = (
    "in-lsr",
    "out80",
    "in80",
    "out-nobody",
    "in-nobody",
    "mmio-write-nobody",
    "mmio-read-nobody",
)
CLOCKS = ("in-rtc", "rtc-indexed", "pmtimer")
WITH_PYTHON = ("out-port", "in-port", "doorbell", "ring")
DONE = (1,)


def told(ops: tuple[str, ...], n: int, **ports: int) -> str:
    """The guest's command line."""
    words = [f"{name}={port:#x}" for name, port in ports.items()]
    return " ".join((f"n={n}", f"ops={','.join(ops)}", *words))


def subjects(n: int) -> dict[str, tuple[list[str], tuple[str, ...]]]:
    """Command and operations by name. vmm has RTC and PM timer in its legacy machine only."""
    ports = {"port": DEVICE, "doorbell": DOORBELL, "ring": RING, "pm": layout.PORT_PM_TIMER}
    everything = (*PLAIN, *CLOCKS, *WITH_PYTHON)
    raw = ["-d", f"{DOORBELL:#x}", "-r", f"{RING:#x}", "-a", told(everything, n, **ports)]
    device = [f"{number:#x}" for number in (DEVICE, DOORBELL, RING)]
    legacy = ("--machine", "legacy", "--append", told(CLOCKS, n, pm=layout.PORT_PM_TIMER))
    python = ["-m", "tests.benchmarks.pyguest", ELF, told(WITH_PYTHON, n, **ports), *device]
    pc = ("-append", told((*PLAIN, *CLOCKS), n, pm=PIIX4_PM_TIMER))
    microvm = ("-append", told((*PLAIN, "in-rtc", "rtc-indexed"), n))
    qemu = (*tools.EXIT, "-debugcon", "stdio", "-serial", "null")
    vmm = tools.vmm_boot("--kernel", ELF, "--debug-exit")
    return {
        "raw": ([*tools.RAW, "-i", *raw, ELF], everything),
        "raw bare": ([*tools.RAW, *raw, ELF], everything),
        "vmm": ([*vmm, "--append", told(PLAIN, n)], PLAIN),
        "vmm legacy": ([*vmm, *legacy], CLOCKS),
        "vmm python": ([sys.executable, *python], WITH_PYTHON),
        "qemu pc": (tools.pc("-kernel", MULTIBOOT, *pc, *qemu), (*PLAIN, *CLOCKS)),
        "qemu microvm": (tools.microvm("-kernel", ELF, *microvm, *qemu), PLAIN),
    }


def measure(rounds: int, n: int = 3000, prefix: str = "exits") -> Measures:
    """Ticks per operation; the first of `rounds` does not count."""
    found = Measures()
    for number in range(rounds):
        for subject, (argv, ops) in subjects(n).items():
            _seconds, said = cpu_of(argv, DONE)
            results = RESULT.findall(said)
            if {op for op, _n, _ticks in results} < set(ops):
                raise Failed(f"{subject} measured {len(results)} of {len(ops)} operations\n{said}")
            for op, count, ticks in results:
                if number:
                    found.add(f"{prefix}/{op}/{subject}", int(ticks) / int(count))
    return found
