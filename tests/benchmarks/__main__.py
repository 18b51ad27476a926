"""`python -m tests.benchmarks [--suite NAME]... [--rounds N] [--output FILE] [--compare OLD]`.

Seconds are emulated ones: 1 ns is one instruction. Ratios stand beside raw (exits) or QEMU microvm.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.benchmarks import bars, guest, lab, report
from tests.benchmarks.inside import SUITES
from tests.benchmarks.results import Measures, load


def main(argv: list[str]) -> int:
    words = argparse.ArgumentParser(prog="make bench")
    words.add_argument("--suite", action="append", choices=SUITES)
    words.add_argument("--rounds", type=int, default=3, help="the first one does not count")
    words.add_argument("--output", type=Path, default=Path("build/bench.json"))
    words.add_argument("--compare", type=Path, metavar="OLD.json")
    chosen = words.parse_args(argv)
    old = load(chosen.compare) if chosen.compare else None
    guest.prepare()
    found = Measures()
    for suite in chosen.suite or SUITES:
        print(f"bench: {suite}, {chosen.rounds} rounds in the lab", file=sys.stderr, flush=True)
        found.merge(lab.measure(suite, chosen.rounds))
        found.save(chosen.output)
    print(report.table(found, old), bars.table(found), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
