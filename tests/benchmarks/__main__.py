"""`python -m tests.benchmarks [--suite NAME]... [--rounds N] [--output FILE] [--compare OLD]`.

Seconds of lab suites are emulated ones: 1 ns is one instruction. host-* are this host's CPU time.
Progress goes to stderr; each suite's table goes to stdout, and its figures to FILE, as it ends.
docs/benchmarks.md says more.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.benchmarks import bars, guest, host, lab, report
from tests.benchmarks.inside import SUITES
from tests.benchmarks.process import Failed, say
from tests.benchmarks.results import Measures, load

HOST_SUITES = {"host-startup": host.measure_startup, "host-exits": host.measure_exits}
INTERRUPTED = 130  # what a shell says of a command that SIGINT ended


def main(argv: list[str]) -> int:
    words = argparse.ArgumentParser(prog="make bench")
    words.add_argument("--suite", action="append", choices=(*SUITES, *HOST_SUITES))
    words.add_argument("--rounds", type=int, default=3, help="the first one does not count")
    words.add_argument("--output", type=Path, default=Path("build/bench.json"))
    words.add_argument("--compare", type=Path, metavar="OLD.json")
    chosen = words.parse_args(argv)
    old = load(chosen.compare) if chosen.compare else None
    found, failed = Measures(), []
    try:
        guest.prepare()
        for suite in chosen.suite or (*SUITES, *HOST_SUITES):
            if measured := attempt(suite, chosen.rounds):
                found.merge(measured)
                found.save(chosen.output)
                tables = (report.table(measured, old), bars.table(measured))
                print(*(f"{table}\n" for table in tables if table), sep="\n", flush=True)
            else:
                failed.append(suite)
    except KeyboardInterrupt:
        say(f"interrupted; what was measured stands in {chosen.output}")
        return INTERRUPTED
    if len(found.about) > 1:
        print(f"all suites\n\n{bars.table(found)}")
    say(f"figures in {chosen.output}" + (f"; without {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def attempt(suite: str, rounds: int) -> Measures | None:
    """What it measured; None, said aloud, if it could not."""
    say(f"{suite}, {rounds} rounds {'on this host' if suite in HOST_SUITES else 'in the lab'}")
    begin = time.monotonic()
    try:
        measure = HOST_SUITES.get(suite)
        measured = measure(rounds) if measure else lab.measure(suite, rounds)
    except (Failed, RuntimeError) as failure:
        say(f"{suite} failed: {failure}")
        return None
    took = round(time.monotonic() - begin)
    say(f"{suite} took {took} s")
    measured.about[suite] = {"rounds": rounds, "seconds": took}
    return measured


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
