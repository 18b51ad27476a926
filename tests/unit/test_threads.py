"""Threads, events and conditions on `_thread`: what they promise, one by one."""

from __future__ import annotations

import os
import threading

import pytest

from vmm.threads import Condition, Event, Lock, Thread, in_main_thread

HANG = 60.0  # seconds after which a thread that should have come is taken for hung


def test_a_thread_runs_its_target_and_can_be_joined() -> None:
    seen: list[object] = []
    thread = Thread(target=lambda *args: seen.extend(args), name="t", args=(1, 2))

    assert not thread.is_alive()
    thread.start()
    thread.join(HANG)

    assert seen == [1, 2]
    assert not thread.is_alive()


def test_joining_waits_no_longer_than_told() -> None:
    go = Event()
    thread = Thread(target=go.wait, name="t")
    thread.start()

    thread.join(0.001)

    assert thread.is_alive()
    go.set()
    thread.join(HANG)
    assert not thread.is_alive()


def test_a_target_that_raises_is_shown_and_its_thread_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", lambda what: shown.append(what.exc_type))

    def fail() -> None:
        raise KeyError

    thread = Thread(target=fail, name="t")
    thread.start()
    thread.join(HANG)
    while not shown:  # the hook runs after the thread has said that it ends
        os.sched_yield()

    assert shown == [KeyError]


def test_a_thread_knows_itself_and_the_main_one() -> None:
    seen: list[bool] = []
    thread = Thread(target=lambda: seen.extend((thread.is_current(), in_main_thread())), name="t")
    thread.start()
    thread.join(HANG)

    assert seen == [True, False]
    assert not thread.is_current()
    assert in_main_thread()


def test_an_event_lets_everybody_go_and_stays_set() -> None:
    event = Event()
    passed: list[bool] = []
    threads = [threading.Thread(target=lambda: passed.append(event.wait(HANG))) for _ in range(8)]
    for thread in threads:
        thread.start()

    assert not event.wait(0.001)
    event.set()
    for thread in threads:
        thread.join()

    assert passed == [True] * 8
    assert event.is_set()
    assert event.wait()


def test_a_condition_wakes_everybody_each_time() -> None:
    lock, rounds = Lock(), 50
    changed = Condition(lock)
    turn, arrived = 0, [0]

    def follow() -> None:
        for expected in range(1, rounds + 1):
            with lock:
                arrived[0] += 1
                while turn < expected:
                    changed.wait()

    threads = [Thread(target=follow, name=f"t{n}") for n in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, rounds + 1):
        while arrived[0] < 4 * number:
            os.sched_yield()
        with lock:
            turn = number
            changed.notify_all()
    for thread in threads:
        thread.join(HANG)

    assert not any(thread.is_alive() for thread in threads)
