"""Huge pages for guest RAM on hosts whose policy gives shmem none: when, and ahead of what.

Ranges that a boot is known to fill are collapsed beforehand (GuestMemory.huge). What else a guest
fills, and when, only it knows: `Watch` looks for 2 MiB blocks that got their first page, and puts
huge pages under them and ahead of them.
"""

from __future__ import annotations

import os
from errno import ENXIO

from vmm.threads import Event, Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    class Filled(Protocol):
        """What a watch needs of guest memory (vmm.region.Region)."""

        fd: int
        size: int

        def collapse(self, start: int, length: int) -> int: ...


HUGE_PAGE = 2 << 20
SHMEM_ENABLED = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
SHORTEST, LONGEST = 0.002, 1.0  # s between looks: a busy guest, and one that fills nothing new
PART = 8  # a look after that part of the time since something was found
AHEAD_MAX = 8  # blocks put under memory that is filled upwards


def policy() -> str:
    """The chosen word of shmem_enabled; "never" where the file cannot be read."""
    try:
        fd = os.open(SHMEM_ENABLED, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return "never"
    try:
        return os.read(fd, 256).partition(b"[")[2].partition(b"]")[0].decode()
    finally:
        os.close(fd)


def next_data(fd: int, at: int, size: int) -> int:
    """Offset of the first byte at or after `at` that a memfd has a page for; `size` if none."""
    try:
        return os.lseek(fd, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno != ENXIO:
            raise
        return size


def lacking(fd: int, size: int) -> list[tuple[int, int]]:
    """Ranges [first, last) of HUGE_PAGE blocks of a memfd that lack a page, ascending."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < size and (hole := os.lseek(fd, at, os.SEEK_HOLE)) < size:
        at = next_data(fd, hole, size)
        first, last = hole // HUGE_PAGE, -(-at // HUGE_PAGE)
        if found and first <= found[-1][1]:
            first = found.pop()[0]
        found.append((first, last))
    return found


class Follower:
    """Collapses the blocks of one region that were filled since it looked last."""

    def __init__(self, region: Filled, first: int) -> None:
        """`first` is the length of what is filled first."""
        self._region = region
        self._lacking = lacking(region.fd, region.size)
        self._expected, self._ahead = -1, 1
        self._first = -(-first // HUGE_PAGE)

    def look(self) -> bool:
        """Whether it found any."""
        before, self._lacking = self._lacking, []
        found = False
        for first, last in before:
            while first < last:
                at = next_data(self._region.fd, first * HUGE_PAGE, self._region.size)
                block = min(at // HUGE_PAGE, last)
                if first < block:
                    self._lacking.append((first, block))
                first = block
                if block < last:
                    found = True
                    first = self._collapse(block, last)
        return found

    def _collapse(self, block: int, last: int) -> int:
        """Also ahead of it, twice as far each time the guest went on where it was expected."""
        self._ahead = min(self._ahead * 2, AHEAD_MAX) if block == self._expected else 1
        if self._first:
            self._ahead, self._first = self._first, 0
        self._expected = min(block + self._ahead, last)
        start, end = block * HUGE_PAGE, min(self._expected * HUGE_PAGE, self._region.size)
        self._region.collapse(start, end - start)  # where it fails, small pages stay
        return self._expected


class Watch:
    """A thread that looks at all regions until it is closed, seldom where little happens."""

    def __init__(self, regions: Sequence[Filled], first: int) -> None:
        self._followers = [Follower(region, first) for region in regions]
        self._stop = Event()
        self._thread = Thread(target=self._follow, name="hugepages")

    def start(self) -> None:
        self._thread.start()

    def _follow(self) -> None:
        idle = 0.0  # s
        while not self._stop.wait(pause := min(max(SHORTEST, idle / PART), LONGEST)):
            found = [follower.look() for follower in self._followers]
            idle = 0.0 if any(found) else idle + pause

    def close(self) -> None:
        """It does not look at the regions any more when this returns."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
