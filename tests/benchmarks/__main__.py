"""`python -m tests.benchmarks [--suite NAME]... [--rounds N] [--output FILE] [--compare OLD]`.

Seconds of lab suites are emulated ones: 1 ns is one instruction. host-* are this host's CPU time.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.benchmarks import bars, guest, host, lab, report
from tests.benchmarks.inside import SUITES
from tests.benchmarks.process import say
from tests.benchmarks.results import Measures, load

HOST_SUITES = {"host-startup": host.measure_startup, "host-exits": host.measure_exits}


def main(argv: list[str]) -> int:
    words = argparse.ArgumentParser(prog="make bench")
    words.add_argument("--suite", action="append", choices=(*SUITES, *HOST_SUITES))
    words.add_argument("--rounds", type=int, default=3, help="the first one does not count")
    words.add_argument("--output", type=Path, default=Path("build/bench.json"))
    words.add_argument("--compare", type=Path, metavar="OLD.json")
    chosen = words.parse_args(argv)
    old = load(chosen.compare) if chosen.compare else None
    guest.prepare()
    found = Measures()
    for suite in chosen.suite or (*SUITES, *HOST_SUITES):
        found.merge(measured(suite, chosen.rounds))
        found.save(chosen.output)
    print(report.table(found, old), bars.table(found), sep="\n\n")
    return 0


def measured(suite: str, rounds: int) -> Measures:
    say(f"{suite}, {rounds} rounds {'on this host' if suite in HOST_SUITES else 'in the lab'}")
    if suite in HOST_SUITES:
        return HOST_SUITES[suite](rounds)
    return lab.measure(suite, rounds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
