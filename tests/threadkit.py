"""What tests ask about threads."""

from __future__ import annotations

import os
import time
from pathlib import Path

PATIENCE = 10.0  # seconds


def thread_name() -> str:
    """The calling thread's, as the kernel knows it."""
    return Path("/proc/thread-self/comm").read_text().rstrip("\n")


def thread_count(at_most: int | None = None) -> int:
    """This process's threads; one that was joined may take the kernel a moment to end."""
    deadline = time.monotonic() + PATIENCE
    while True:
        count = len(os.listdir("/proc/self/task"))
        if at_most is None or count <= at_most or time.monotonic() > deadline:
            return count
