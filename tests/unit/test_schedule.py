"""Where a thread's time went: it ran, slept, was held; kept when it has ended."""

from __future__ import annotations

import threading
import time

from vmm.schedule import STATES, Schedule

MS = 1_000_000


def run(busy_ms: int, sleep_ms: int, held_ms: int) -> Schedule:
    schedule = Schedule()

    def body() -> None:
        schedule.begin()
        end = time.thread_time_ns() + busy_ms * MS
        while time.thread_time_ns() < end:
            pass
        time.sleep(sleep_ms / 1000)
        since = time.monotonic_ns()
        time.sleep(held_ms / 1000)
        schedule.held(since)
        schedule.end()

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    return schedule


def test_the_states_add_up_to_the_life_of_the_thread() -> None:
    begin = time.monotonic_ns()
    times = run(30, 40, 50).times()
    life = time.monotonic_ns() - begin
    assert times["running"] >= 20 * MS  # the kernel counts it at ticks and switches
    assert times["blocked"] >= 20 * MS
    assert times["offline"] >= 50 * MS
    assert times["steal"] == times["runnable"]
    assert sum(times[state] for state in STATES) <= life


def test_what_it_was_at_the_end_stays() -> None:
    schedule = run(1, 1, 1)
    first = schedule.times()
    time.sleep(0.01)
    assert schedule.times() == first != {}


def test_nothing_is_said_of_a_thread_that_has_not_begun() -> None:
    assert Schedule().times() == {}
