"""core/loop/timer.c: the manual clock against its twin, the real one with a loop, pausing."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.native.twins.timer import ClockTwin
from vmm.loop import IoLoop
from vmm.native import ffi, lib, made

MS = 1_000_000
TIMERS = 6


class Clock:
    """A clock with timers that note when they fired; `action` runs in the timer's function."""

    def __init__(self, loop: IoLoop | None, timers: int) -> None:
        self.manual = loop is None
        self.pointer = made(lib.vclock_create(self.manual), lib.vclock_destroy, "a clock")
        self.fired: list[tuple[int, int]] = []
        self.any_fired = threading.Event()
        self.action = lambda _number: None
        self._functions = [
            ffi.callback("void(void *)", lambda _opaque, n=n: self._fire(n)) for n in range(timers)
        ]
        self.timers = [ffi.new("struct timer *") for _ in range(timers)]
        pointer = ffi.NULL if loop is None else loop.pointer
        for timer, function in zip(self.timers, self._functions, strict=True):
            assert lib.timer_init(timer, self.pointer, pointer, function, ffi.NULL) == 0

    def _fire(self, number: int) -> None:
        self.fired.append((number, self.ns))
        self.action(number)
        self.any_fired.set()

    @property
    def ns(self) -> int:
        return int(lib.vclock_ns(self.pointer))

    def arm(self, number: int, deadline: int) -> None:
        lib.timer_arm(self.timers[number], deadline)

    def close(self) -> None:
        for timer in self.timers:
            lib.timer_deinit(timer)


@pytest.fixture
def manual() -> Iterator[Clock]:
    clock = Clock(None, TIMERS)
    yield clock
    clock.close()


@pytest.fixture
def real() -> Iterator[Clock]:
    loop = IoLoop()
    clock = Clock(loop, TIMERS)
    loop.start()
    yield clock
    clock.close()
    loop.close()


@pytest.mark.parametrize("seed", range(10))
def test_manual_clock_agrees_with_the_twin(manual: Clock, seed: int) -> None:
    rng = random.Random(seed)
    twin = ClockTwin(TIMERS)
    for _ in range(1000):
        number = rng.randrange(TIMERS)
        match rng.randrange(4):
            case 0 | 1:
                # Deadlines that differ, so that the order is decided by them alone.
                deadline = twin.now + rng.randrange(-50, 300) * TIMERS + number
                lib.timer_arm(manual.timers[number], deadline)
                twin.arm(number, deadline)
            case 2:
                lib.timer_disarm(manual.timers[number])
                twin.disarm(number)
            case 3:
                step = rng.randrange(400)
                lib.vclock_step(manual.pointer, step)
                twin.step(step)
        assert manual.ns == twin.now
        assert sorted(manual.fired, key=lambda f: f[1]) == manual.fired
        armed = [lib.timer_deadline(timer) for timer in manual.timers]
        assert armed == [-1 if d is None else d for d in twin.deadlines]
    assert sorted(manual.fired) == sorted(twin.fired)


def test_timer_may_arm_itself_again_within_one_step(manual: Clock) -> None:
    manual.action = lambda number: manual.arm(number, manual.ns + 10)
    manual.arm(0, 10)
    lib.vclock_step(manual.pointer, 55)
    assert manual.fired == [(0, n) for n in (10, 20, 30, 40, 50)]
    assert manual.ns == 55


def test_negative_step_and_deadline_do_no_harm(manual: Clock) -> None:
    lib.vclock_step(manual.pointer, -5)
    assert manual.ns == 0
    manual.arm(0, -100)
    lib.vclock_step(manual.pointer, 0)
    assert manual.fired == [(0, 0)]


def test_manual_clock_ignores_stop_and_run(manual: Clock) -> None:
    lib.vclock_stop(manual.pointer)
    lib.vclock_step(manual.pointer, 5)
    lib.vclock_run(manual.pointer)
    assert manual.ns == 5


def test_set_time_leaves_deadlines(manual: Clock) -> None:
    manual.arm(0, 1000)
    lib.vclock_set(manual.pointer, 999)
    assert manual.fired == []
    lib.vclock_step(manual.pointer, 1)
    assert manual.fired == [(0, 1000)]


def test_real_timer_fires_on_the_loop_not_before_its_time(real: Clock) -> None:
    deadline = real.ns + 5 * MS
    real.arm(0, deadline)
    assert real.any_fired.wait(10)
    assert real.fired[0][1] >= deadline


def test_past_deadline_fires_at_once(real: Clock) -> None:
    real.arm(0, 0)
    assert real.any_fired.wait(10)


def test_deadline_at_the_end_of_time_never_comes(real: Clock) -> None:
    real.arm(0, (1 << 63) - 1)
    real.arm(1, real.ns + MS)
    assert real.any_fired.wait(10)
    assert [number for number, _ns in real.fired] == [1]


def test_disarmed_timer_does_not_fire(real: Clock) -> None:
    lib.vclock_stop(real.pointer)
    real.arm(0, real.ns + 2 * MS)
    lib.timer_disarm(real.timers[0])
    real.arm(1, real.ns + 20 * MS)
    lib.vclock_run(real.pointer)
    assert real.any_fired.wait(10)
    assert [number for number, _ns in real.fired] == [1]


def test_stopped_clock_stands_still_and_timers_fire_after_it_runs(real: Clock) -> None:
    real.arm(0, real.ns + 5 * MS)
    lib.vclock_stop(real.pointer)
    lib.vclock_stop(real.pointer)
    stopped = real.ns
    assert not real.any_fired.wait(0.05)
    assert real.ns == stopped
    lib.vclock_run(real.pointer)
    assert real.any_fired.wait(10)
    # The pause does not count: far less than it has passed since.
    assert real.fired[0][1] >= stopped


def test_timer_armed_while_stopped_fires_after_it_runs(real: Clock) -> None:
    lib.vclock_stop(real.pointer)
    real.arm(0, 0)
    assert not real.any_fired.wait(0.05)
    lib.vclock_run(real.pointer)
    assert real.any_fired.wait(10)


def test_setting_a_running_clock_forward_fires_what_is_due(real: Clock) -> None:
    hour = 3600 * 1000 * MS
    real.arm(0, real.ns + hour)
    lib.vclock_set(real.pointer, real.ns + 2 * hour)
    assert real.any_fired.wait(10)
    assert real.ns > 2 * hour


def test_real_clock_follows_the_monotonic_one(real: Clock) -> None:
    def bounds() -> tuple[int, int]:
        """Between these lies the difference of the two clocks."""
        before = time.monotonic_ns()
        now = real.ns
        return before - now, time.monotonic_ns() - now

    low, high = bounds()
    time.sleep(0.02)
    later_low, later_high = bounds()
    assert low <= later_high
    assert later_low <= high


def test_real_timer_needs_a_loop() -> None:
    clock = made(lib.vclock_create(False), lib.vclock_destroy, "a clock")
    timer: Any = ffi.new("struct timer *")
    function = ffi.callback("void(void *)", lambda _opaque: None)
    assert lib.timer_init(timer, clock, ffi.NULL, function, ffi.NULL) == -22
