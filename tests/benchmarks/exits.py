"""What one exit costs: guests/bench under the bare loop, vmm and QEMU, by the guest's own TSC.

In the counted lab the TSC advances once an instruction, so ticks are instructions of guest, kernel
and monitor. "raw" has the in-kernel irqchip, as the others; "raw bare" does without. It answers the
PM timer and the RTC from the clock, since no monitor can spare itself that. "raw ring" has an I/O
thread, which does the least for a request of random bytes: what virtio-rng does elsewhere.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator

from tests.benchmarks import tools
from tests.benchmarks.process import Failed, cpu_of, say
from tests.benchmarks.results import Measures
from vmm import layout
from vmm.record import Record

ELF, MULTIBOOT = str(tools.BUILD / "bench.elf"), str(tools.BUILD / "bench.mb")
DOORBELL, RING, DEVICE = 0x1600, 0x1602, 0x1604
VRING = 0x300_0000  # where the bare loop looks for one
PIIX4_PM_TIMER = 0x608
RESULT = re.compile(r"# bench op=(\S+) n=(\d+) ticks=(\d+)")
PORTS = ("in-lsr", "out80", "in80", "out-nobody", "in-nobody")
PLAIN = (*PORTS, "mmio-write-nobody", "mmio-read-nobody")
CLOCKS = ("pmtimer", "in-rtc", "rtc-indexed")
IN_KERNEL = ("doorbell", "ring")
WITH_PYTHON = ("out-port", "in-port", *IN_KERNEL)
ENTROPY = ("entropy",)
DONE = (1,)
# Operations and rounds, of which the quickest counts: so short that no timer disturbs that one.
# Entropy takes two threads, whose order is left to L1's scheduler: a mean of many, and a policy by
# which a thread that is woken waits its turn. Every request then halts its CPU and wakes it again.
OFTEN, LONG = (300, 30), (9000, 1)
IN_TURN = ("chrt", "--batch", "0")


class Subject(Record):
    """A monitor: how it is started with a command line for the guest, and what it can be asked."""

    command: Callable[[str], list[str]]
    ops: tuple[str, ...]
    pm_timer: int = layout.PORT_PM_TIMER
    vring: int = 0  # 0: a virtio device

    def argv(self, ops: tuple[str, ...], n: int, rounds: int = 1) -> list[str]:
        words = f"n={n} rounds={rounds} ops={','.join(ops)}"
        places = f"pm={self.pm_timer:#x} entropy={self.vring:#x} port={DEVICE:#x}"
        return self.command(f"{words} {places} doorbell={DOORBELL:#x} ring={RING:#x}")


def raw(ops: tuple[str, ...], *options: str) -> Subject:
    fast = ["-d", hex(DOORBELL), "-r", hex(RING), "-k", hex(layout.PORT_PM_TIMER)]
    argv = [*tools.RAW, *options, *fast]
    return Subject(command=lambda append: [*argv, "-a", append, ELF], ops=ops, vring=VRING)


def vmm(ops: tuple[str, ...], *options: str) -> Subject:
    argv = tools.vmm_boot("--kernel", ELF, "--debug-exit", *options, "--append")
    return Subject(command=lambda append: [*argv, append], ops=ops)


def vmm_python() -> Subject:
    places = [hex(port) for port in (DEVICE, DOORBELL, RING)]
    argv = [sys.executable, "-m", "tests.benchmarks.pyguest", ELF]
    return Subject(command=lambda append: [*argv, append, *places], ops=WITH_PYTHON)


def qemu(
    machine: Callable[..., list[str]], image: str, ops: tuple[str, ...], *options: str
) -> Subject:
    said = (*tools.EXIT, "-debugcon", "stdio", "-serial", "null")
    argv = machine("-kernel", image, *said, *options, "-append")
    return Subject(command=lambda append: [*argv, append], ops=ops, pm_timer=PIIX4_PM_TIMER)


def subjects() -> dict[str, Subject]:
    """By name. vmm has RTC and PM timer in its legacy machine only, QEMU's microvm no PM timer."""
    bare = (*PLAIN, *CLOCKS, *WITH_PYTHON)
    rng = ("-device", "virtio-rng-pci,disable-legacy=on")
    return {
        "raw": raw(bare, "-i"),
        "raw bare": raw(bare),
        "raw ring": raw(ENTROPY, "-i", "-v", hex(VRING)),
        "vmm": vmm((*PLAIN, *ENTROPY), "--device", "virtio-rng"),
        "vmm legacy": vmm(CLOCKS, "--machine", "legacy"),
        "vmm python": vmm_python(),
        "qemu pc": qemu(tools.pc, MULTIBOOT, (*PLAIN, *CLOCKS, *ENTROPY), *rng),
        "qemu microvm": qemu(tools.microvm, ELF, (*PLAIN, *CLOCKS[1:])),
    }


def measure(rounds: int) -> Measures:
    """Ticks per operation; the first of `rounds` does not count."""
    found = Measures()
    for number in range(rounds):
        for name, subject in subjects().items():
            say(f"exits: {name}, round {number}")
            for op, ticks in measured(subject):
                if number:
                    found.add(f"exits/{op}/{name}", ticks)
    return found


def measured(subject: Subject) -> Iterator[tuple[str, float]]:
    """Each of its operations with its ticks."""
    single = tuple(op for op in subject.ops if op not in ENTROPY)
    for ops, (n, rounds), policy in ((single, OFTEN, ()), (ENTROPY, LONG, IN_TURN)):
        if set(ops) & set(subject.ops):
            yield from run([*policy, *subject.argv(ops, n, rounds)], ops)


def run(argv: list[str], ops: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    _seconds, said = cpu_of(argv, DONE)
    results = RESULT.findall(said)
    if {op for op, _n, _ticks in results} < set(ops):
        raise Failed(f"{argv}: only {len(results)} of {len(ops)} operations\n{said}")
    for op, count, ticks in results:
        yield op, int(ticks) / int(count)
