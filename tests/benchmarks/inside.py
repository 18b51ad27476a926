"""In the lab: stages, measures one suite and writes its results. `inside SUITE ROUNDS FILE`."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from tests.benchmarks.process import say
from tests.benchmarks.stage import stage

SUITES = (
    *("startup", "exits", "boot", "reasons", "serial", "hvc", "disk", "net", "devices", "vfio"),
    "xen",
)


def main(argv: list[str]) -> int:
    suite, rounds, place = argv
    if suite not in SUITES:
        raise ValueError(f"there is no suite {suite}")
    say("copying to memory what is measured")
    stage()
    os.chdir(os.getcwd())  # into the copy
    module = importlib.import_module(f"tests.benchmarks.{suite}")
    module.measure(int(rounds)).save(Path(place))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
