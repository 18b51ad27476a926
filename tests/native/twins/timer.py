"""A manual clock and its one-shot timers as plain Python."""

from __future__ import annotations


class ClockTwin:
    """`fired` lists (timer, time) in the order in which the timers' functions ran."""

    def __init__(self, timers: int) -> None:
        self.now = 0
        self.deadlines: list[int | None] = [None] * timers
        self.fired: list[tuple[int, int]] = []

    def arm(self, timer: int, deadline: int) -> None:
        self.deadlines[timer] = max(deadline, 0)

    def disarm(self, timer: int) -> None:
        self.deadlines[timer] = None

    def step(self, ns: int) -> None:
        end = self.now + ns
        while True:
            due = [
                (deadline, timer)
                for timer, deadline in enumerate(self.deadlines)
                if deadline is not None and deadline <= end
            ]
            if not due:
                break
            deadline, timer = min(due)
            self.now = max(self.now, deadline)
            self.deadlines[timer] = None
            self.fired.append((timer, self.now))
        self.now = end
