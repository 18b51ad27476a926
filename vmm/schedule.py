"""Where the time of a vCPU's thread went, as the host's scheduler tells (CONFIG_SCHED_INFO).

The states are Xen's. A guest sees the time in which its vCPU was runnable as stolen.
"""

from __future__ import annotations

import time
from _thread import get_native_id

STATES = ("running", "runnable", "blocked", "offline")


class Schedule:
    """One thread's. Nanoseconds since `begin()`, up to now or to `end()`."""

    def __init__(self) -> None:
        self._tid = self._began = self._offline = 0
        self._last: dict[str, int] = {}

    def begin(self) -> None:
        """Own thread, once."""
        self._tid, self._began = get_native_id(), time.monotonic_ns()

    def held(self, since: int) -> None:
        """It has been kept out of the guest since then. Own thread."""
        self._offline += time.monotonic_ns() - since

    def end(self) -> None:
        """Own thread, at its end."""
        self._last = self.times()
        self._tid = 0

    def times(self) -> dict[str, int]:
        """By state, and `steal`; {} before the thread began and where the kernel does not say.

        Any thread. The two sources are not read at one moment: `blocked` is what remains.
        """
        if not self._tid:
            return dict(self._last)
        try:
            with open(f"/proc/self/task/{self._tid}/schedstat", "rb") as file:
                running, runnable = (int(word) for word in file.read().split()[:2])
        except (OSError, ValueError):
            return dict(self._last)
        offline = self._offline
        rest = time.monotonic_ns() - self._began - running - runnable - offline
        times = (running, runnable, max(rest, 0), offline)
        return {**dict(zip(STATES, times, strict=True)), "steal": runnable}
