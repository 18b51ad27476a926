"""File descriptors of this process, for tests that look for those left open."""

from __future__ import annotations

import os
import time

PATIENCE = 5.0  # seconds


def descriptors() -> dict[str, str]:
    """What each open one is, without the one that lists them."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
    return found


def await_no_more(before: dict[str, str]) -> None:
    """None is open that was not `before`. Threads that begin or end have files for a moment."""
    end = time.monotonic() + PATIENCE
    while left := descriptors().items() - before.items():
        assert time.monotonic() < end, left
        time.sleep(0.01)
