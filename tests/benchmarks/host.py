"""Start-up and exits on this host's own KVM, in CPU time, where it runs the guests.

CPU time of a whole process is exact but not steady (caches, a shared machine), so subjects are
interleaved, more rounds are run, and an exit's cost is what a long run takes over a short one.
"""

from __future__ import annotations

from tests.benchmarks import exits, startup
from tests.benchmarks.exits import Subject
from tests.benchmarks.process import Failed, cpu_of, say
from tests.benchmarks.results import Measures

SHORT, LONG = 1000, 21000  # operations


def measure_startup(rounds: int) -> Measures:
    """CPU seconds of each process."""
    found = Measures()
    able = {name: run for name, run in startup.subjects().items() if runs(name, *run)}
    for number in range(4 * rounds):
        for name, (argv, codes) in able.items():
            seconds, _said = cpu_of(argv, codes)
            if number:
                found.add(f"host-startup/{name}", seconds)
    return found


def measure_exits(rounds: int) -> Measures:
    """CPU seconds per operation."""
    found = Measures()
    able = {
        name: subject
        for name, subject in exits.subjects().items()
        if runs(name, subject.argv(subject.ops, 1), exits.DONE)
    }
    for number in range(rounds):
        for op in (*exits.PLAIN, *exits.CLOCKS, *exits.WITH_PYTHON):
            for name, subject in able.items():
                if op in subject.ops:
                    seconds = per_operation(subject, op)
                    if number:
                        found.add(f"host-exits/{op}/{name}", seconds)
    return found


def per_operation(subject: Subject, op: str) -> float:
    taken = [cpu_of(subject.argv((op,), n, rounds=1), exits.DONE)[0] for n in (SHORT, LONG)]
    return (taken[1] - taken[0]) / (LONG - SHORT)


def runs(name: str, argv: list[str], codes: tuple[int, ...]) -> bool:
    """Whether this host's KVM runs it, said aloud if not."""
    try:
        cpu_of(argv, codes)
    except Failed as failure:
        say(f"{name} does not run on this host: {str(failure).splitlines()[-1]}")
        return False
    return True
