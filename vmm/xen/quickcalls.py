"""Tells of the calls that the userspace back-end answers in C (core/xen/xenus_seen.c)."""

from __future__ import annotations

import os

from vmm import log
from vmm.native import Fd, check, ffi, lib
from vmm.threads import Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

WAIT = 0.05  # seconds between two looks
CHUNK = 512  # calls taken at a time


class QuickCalls:
    """Calls `take(vcpu, struct xenus_seen)` for each, on a thread of its own, until close().

    Made before vCPUs run.
    """

    def __init__(self, xenus: Any, vcpus: int, take: Callable[[int, Any], None]) -> None:
        self._x, self._vcpus, self._take = xenus, vcpus, take
        self._records = ffi.new("struct xenus_seen[]", CHUNK)
        self._wake = Fd(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
        self._ends = False
        self._thread = Thread(target=self._body, name="trace")
        try:
            check(lib.xenus_watch(xenus, self._wake.number), "xenus_watch")
            self._thread.start()
        except BaseException:
            self._wake.close()
            raise

    def _body(self) -> None:
        from select import POLLIN, poll

        wait = poll()
        wait.register(self._wake.number, POLLIN)
        while not self._ends:
            if wait.poll(int(WAIT * 1000)):
                os.eventfd_read(self._wake.number)
            self._read()

    def _read(self) -> None:
        while sum(self._read_some(vcpu) for vcpu in range(self._vcpus)):
            pass

    def _read_some(self, vcpu: int) -> int:
        count = lib.xenus_take_seen(self._x, vcpu, self._records, CHUNK)
        for n in range(count):
            self._take(vcpu, self._records[n])
        return int(count)

    def close(self) -> None:
        """What has happened so far is taken first. No vCPU runs."""
        self._ends = True
        os.eventfd_write(self._wake.number, 1)
        self._thread.join()
        self._read()
        self._wake.close()
        if lost := int(lib.xenus_calls_lost(self._x)):
            log.limited("trace.calls_lost", calls=lost)
