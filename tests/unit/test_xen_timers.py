"""Watchdogs and periodic timers of a Xen domain, with a loop of their own."""

from __future__ import annotations

from _queue import SimpleQueue
from collections.abc import Iterator

import pytest

from vmm.loop import IoLoop
from vmm.xen import abi
from vmm.xen.abi import XenError
from vmm.xen.timers import WATCHDOGS, PeriodicTimers, Watchdogs

PATIENCE = 30  # s
MILLISECOND = 10**6


@pytest.fixture
def loop() -> Iterator[IoLoop]:
    loop = IoLoop()
    loop.start()
    yield loop
    loop.stop()
    loop.close()


def test_watchdog_that_is_not_told_in_time_ends_the_domain(loop: IoLoop) -> None:
    ended: SimpleQueue[str] = SimpleQueue()
    watchdogs = Watchdogs(loop)
    watchdogs.on_end = lambda: ended.put("ended")

    assert watchdogs.set(0, 1000) == 1
    assert watchdogs.set(0, 0) == 2  # at once

    assert ended.get(timeout=PATIENCE) == "ended"
    assert ended.empty()
    watchdogs.close()


def test_watchdogs_are_few_and_named_before_they_are_set(loop: IoLoop) -> None:
    watchdogs = Watchdogs(loop)

    for number in range(WATCHDOGS):
        assert watchdogs.set(0, 1000) == number + 1
    for number, error in ((0, abi.ENOSPC), (WATCHDOGS + 1, abi.EINVAL), (1 << 31, abi.EINVAL)):
        with pytest.raises(XenError, match=f"^{error}$"):
            watchdogs.set(number, 1000)
    assert watchdogs.set(2, 0) == 0
    with pytest.raises(XenError, match=f"^{abi.EINVAL}$"):
        watchdogs.set(2, 1000)
    watchdogs.reset()
    assert watchdogs.set(0, (1 << 32) - 1) == 1
    watchdogs.close()


def test_periodic_timer_goes_off_until_it_is_ended(loop: IoLoop) -> None:
    ticks: SimpleQueue[int] = SimpleQueue()
    timers = PeriodicTimers(loop, ticks.put)

    timers.set(3, 0)  # none
    timers.set(5, MILLISECOND)

    assert [ticks.get(timeout=PATIENCE) for _ in range(3)] == [5, 5, 5]
    timers.reset()
    timers.close()
