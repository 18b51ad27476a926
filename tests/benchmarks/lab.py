"""Runs one suite in the instruction-counted lab, watched from outside: one that froze is repeated.

Such a lab can freeze with QEMU busy (its clock then leaps from timer to timer while L1 waits for
something lost), which the lab's own watchdog cannot tell from work. Suites therefore say on stderr
what they begin with; too long a silence is a freeze.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import vfio
from tests.benchmarks.process import say
from tests.benchmarks.results import Measures, load
from tests.benchmarks.tools import TOP

ATTEMPTS = 2
SILENCE = 240.0  # seconds; the longest measurement takes a tenth of it on an idle machine
GRACE = 30.0  # seconds that a lab gets to end after SIGTERM


def measure(suite: str, rounds: int) -> Measures:
    """One lab boot. RuntimeError if no attempt gave results."""
    for attempt in range(1, ATTEMPTS + 1):
        with tempfile.TemporaryDirectory(prefix="vmm-bench-") as folder:
            inside = [sys.executable, "-m", "tests.benchmarks.inside", suite, str(rounds)]
            more = vfio.LAB if suite == "vfio" else ()
            lab = [sys.executable, "-m", "vmm.lab", "run", "--count", "--out", folder, *more]
            ended = watched([*lab, "--", *inside, "/out/results.json"])
            place = Path(folder) / "results.json"
            if not ended and place.exists():
                return load(place)
        again = "; once more" if attempt < ATTEMPTS else ""
        say(f"{suite}: the lab {ended or 'left no results'}{again}")
    raise RuntimeError(f"{suite} could not be measured in {ATTEMPTS} labs")


def watched(argv: list[str], silence: float = SILENCE) -> str:
    """Runs `argv`, passing on what it says on stderr. "" if it succeeds, else how it ended."""
    with (
        subprocess.Popen(argv, cwd=TOP, stderr=subprocess.PIPE) as child,
        selectors.DefaultSelector() as selector,
    ):
        assert child.stderr is not None
        selector.register(child.stderr, selectors.EVENT_READ)
        while selector.select(silence):
            data = os.read(child.stderr.fileno(), 1 << 16)
            if not data:
                code = child.wait()
                return f"ended with {code}" if code else ""
            os.write(2, data)
        end(child)
    return f"said nothing for {silence:g} s and was stopped"


def end(child: subprocess.Popen[bytes]) -> None:
    """The lab's QEMU ends with its parent, however that ends."""
    child.terminate()
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
