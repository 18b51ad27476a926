"""`vmm stats`: the counters of a running machine, as --stats shows them when it ends."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Any

from vmm.cli.generate import table_command
from vmm.control.client import connect
from vmm.control.signals import Signals
from vmm.errors import EXIT_OK
from vmm.options import options_of
from vmm.stats import as_json, as_table

HELP = """Show the counters of a running machine (vmm boot --state-dir DIR).

Among them where the time of each vCPU went, in nanoseconds: running, waiting for a processor of the
host (steal), blocked, kept out of the guest (offline). The table leaves out counters that are zero.
"""


def stats(options: dict[str, Any]) -> int:
    with Signals(), closing(connect(options)) as client:
        snapshot = client.execute("stats")
    sys.stdout.write((as_json if options.get("json") else as_table)(snapshot) + "\n")
    sys.stdout.flush()
    return EXIT_OK


command = table_command("stats", options_of("stats"), stats, HELP)
