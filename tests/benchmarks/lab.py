"""Runs one suite in the instruction-counted lab, with a second attempt if the lab froze."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.results import Measures, load
from tests.benchmarks.tools import TOP

ATTEMPTS = 2
SECONDS = 600  # for one suite; a frozen lab is found out earlier


def measure(suite: str, rounds: int) -> Measures:
    """One lab boot. RuntimeError if no attempt gave results."""
    for attempt in range(1, ATTEMPTS + 1):
        with tempfile.TemporaryDirectory(prefix="vmm-bench-") as folder:
            place = Path(folder) / "results.json"
            inside = [sys.executable, "-m", "tests.benchmarks.inside", suite, str(rounds)]
            lab = [sys.executable, "-m", "vmm.lab", "run", "--count", "--timeout", str(SECONDS)]
            code = subprocess.run(
                [*lab, "--out", folder, "--", *inside, "/out/results.json"], cwd=TOP, check=False
            ).returncode
            if code == 0 and place.exists():
                return load(place)
        print(f"bench: {suite}: attempt {attempt} ended with {code}", file=sys.stderr, flush=True)
    raise RuntimeError(f"{suite} could not be measured in {ATTEMPTS} labs")
