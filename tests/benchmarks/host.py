"""Start-up and exits on this host's own KVM, in CPU time, where it runs the guests.

CPU time is exact but not steady (caches, a shared machine), so subjects are interleaved and more
rounds are run. An exit's cost is taken between what the guest says before and after its loop.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks import exits, startup
from tests.benchmarks.exits import Subject
from tests.benchmarks.process import Failed, Watched, cpu_of, say
from tests.benchmarks.results import Measures

COUNT = 20000  # operations
PATIENCE = 60.0
SHOWN = ("out80", "in-lsr", "mmio-read-nobody", "in-rtc", "pmtimer", *exits.WITH_PYTHON)
PLAN, RESULT, LINE_END = b"\n1..", b"# bench ", b"\n"
SAMPLES, SLOW = 4, ("qemu microvm", "qemu pc")  # of a round, but one of those that run firmware


def measure_startup(rounds: int) -> Measures:
    """CPU seconds of each process."""
    found = Measures()
    able = {name: run for name, run in startup.subjects().items() if runs(name, *run)}
    for number in range(1, rounds):
        say(f"host-startup: round {number}")
        for name, (argv, codes) in able.items():
            for _ in range(1 if name in SLOW else SAMPLES):
                seconds, _said = cpu_of(argv, codes)
                found.add(f"host-startup/{name}", seconds)
    return found


def measure_exits(rounds: int) -> Measures:
    """CPU seconds per operation."""
    found = Measures()
    able = {
        name: subject
        for name, subject in exits.subjects().items()
        if set(SHOWN) & set(subject.ops) and runs(name, subject.argv(subject.ops, 1), exits.DONE)
    }
    for number in range(1, rounds):
        for name, subject in able.items():
            say(f"host-exits: {name}, round {number}")
            for op, seconds in per_operation(subject):
                found.add(f"host-exits/{op}/{name}", seconds)
    return found


def per_operation(subject: Subject) -> Iterator[tuple[str, float]]:
    """One run of its operations: each with its seconds."""
    ops = tuple(op for op in SHOWN if op in subject.ops)
    with Watched(subject.argv(ops, COUNT)) as run:
        run.until(PLAN, PATIENCE)
        before = run.cpu_ns()
        for index in range(len(ops)):
            run.until(RESULT, PATIENCE)
            now = run.cpu_ns()
            run.until(LINE_END, PATIENCE)
            yield exits.RESULT.findall(run.output.decode())[index][0], (now - before) / 1e9 / COUNT
            before = now


def runs(name: str, argv: list[str], codes: tuple[int, ...]) -> bool:
    """Whether this host's KVM runs it, said aloud if not."""
    try:
        cpu_of(argv, codes)
    except Failed as failure:
        say(f"{name} does not run on this host: {str(failure).splitlines()[-1]}")
        return False
    return True
