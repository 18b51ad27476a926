"""Model of the HPET (IA-PC HPET 1.0a). A match is looked for period by period."""

from __future__ import annotations

from typing import Any

from tests.native.devrig import Lines

TICK, MIN_IRQ = 10, 100_000
ROUTES = range(20, 24)
ALL = 1 << 64
LEVEL, ENABLE, PERIODIC, SET, MODE_32 = 2, 4, 8, 0x40, 0x100
CAPABILITIES = 10_000_000 << 32 | 0x8086A201


class Timer:
    def __init__(self) -> None:
        self.config = self.period = 0
        self.comparator = ALL - 1

    @property
    def modulus(self) -> int:
        return 1 << 32 if self.config & MODE_32 else ALL

    @property
    def route(self) -> int:
        return self.config >> 9 & 31

    def matches_after(self, counter: int) -> int:
        """Ticks until the comparator is next reached."""
        return (self.comparator - counter - 1) % self.modulus + 1

    def put(self, value: int, mask: int) -> None:
        periodic = self.config & PERIODIC
        if not periodic or self.config & SET:
            self.comparator = (self.comparator & ~mask | value) % self.modulus
        if periodic:
            self.period = (self.period & ~mask | value) % self.modulus
        self.config &= ~SET


class HpetTwin(Lines):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.outputs: list[tuple[int | None, int]] = [(None, 0)] * 3
        self.reset()

    def reset(self) -> None:
        self.on = self.legacy = self.status = 0
        self.stopped_at = 0  # the counter while off, else what it was at ...
        self.since = 0  # ... this tick of virtual time
        self.seen = 0
        self.last_wake = -MIN_IRQ
        self.timers = [Timer() for _ in range(3)]
        self.update()

    # --- time

    def counter(self, now: int | None = None) -> int:
        if not self.on:
            return self.stopped_at
        ticks = (self.now if now is None else now) // TICK
        return (self.stopped_at + ticks - self.since) % ALL

    def set_counter(self, value: int) -> None:
        self.stopped_at, self.since = value, self.now // TICK

    def catch_up(self) -> None:
        start, passed = self.seen, (self.counter() - self.seen) % ALL
        self.seen = self.counter()
        if not self.on:
            return
        for number, timer in enumerate(self.timers):
            if timer.matches_after(start) > passed:
                continue
            self.fire(number)
            period = timer.period % timer.modulus
            if timer.config & PERIODIC and period:
                at = timer.matches_after(start)
                while at <= passed:
                    at += period
                    timer.comparator = (timer.comparator + period) % timer.modulus

    def fire(self, number: int) -> None:
        timer = self.timers[number]
        if timer.config & LEVEL:
            self.status |= 1 << number
        elif timer.config & ENABLE:
            self.output(number, 1)
            self.output(number, 0)

    def gsi(self, number: int) -> int | None:
        if self.legacy and number < 2:
            return (0, 8)[number]
        route = self.timers[number].route
        return route if route in ROUTES else None

    def active(self, number: int) -> bool:
        config = self.timers[number].config
        both = LEVEL | ENABLE
        return bool(self.on and config & both == both and self.status >> number & 1)

    def update(self) -> None:
        """Moves outputs that are routed anew, low, then sets them all."""
        for number in range(3):
            if self.outputs[number][0] != self.gsi(number):
                self.output(number, 0)
                self.outputs[number] = (self.gsi(number), 0)
        for number in range(3):
            self.output(number, int(self.active(number)))

    def output(self, number: int, level: int) -> None:
        """One timer's output; a GSI is high while any of those on it is."""
        gsi = self.outputs[number][0]
        self.outputs[number] = (gsi, level)
        if gsi is not None:
            self.set(gsi, any(high for place, high in self.outputs if place == gsi))

    def wake_at(self) -> int | None:
        """When the next interrupt is due, in ns."""
        if not self.on:
            return None
        waits = [
            timer.matches_after(self.seen)
            for number, timer in enumerate(self.timers)
            if timer.config & ENABLE and not self.active(number)
        ]
        waits = [wait for wait in waits if wait < 1 << 56]
        if not waits:
            return None
        return max((self.looked // TICK + min(waits)) * TICK, self.last_wake + MIN_IRQ)

    def step(self, ns: int) -> None:
        end = self.now + ns
        while (wake := self.wake_at()) is not None and wake <= end:
            self.now = self.last_wake = max(wake, self.now)
            self.look()
        self.now = end

    looked = 0

    def look(self) -> None:
        self.looked = self.now
        self.catch_up()
        self.update()

    # --- accesses

    def register(self, offset: int) -> int:
        timer, field = divmod(offset - 0x100, 0x20)
        if offset < 0x100:
            fixed = {
                0: CAPABILITIES,
                0x10: self.on | self.legacy << 1,
                0x20: self.status,
                0xF0: self.counter(),
            }
            return fixed.get(offset, 0)
        if timer > 2 or field > 8:
            return 0
        if field == 8:
            return self.timers[timer].comparator
        return self.timers[timer].config & ~SET | 0x30 | sum(1 << 32 + r for r in ROUTES)

    def read(self, _region: int, offset: int, size: int) -> int:
        if offset & ~7 == 0x20 or offset >= 0x100:
            self.look()
        return self.register(offset & ~7) >> 8 * (offset & 7) & (1 << 8 * size) - 1

    def write(self, _region: int, offset: int, value: int, size: int) -> int:
        if offset % 8 + size > 8:
            return 0
        self.looked = self.now
        self.catch_up()
        mask = (1 << 8 * size) - 1 << 8 * (offset % 8)
        value <<= 8 * (offset % 8)
        self._put(offset & ~7, value, mask)
        self.update()
        return 0

    def _put(self, offset: int, value: int, mask: int) -> None:
        whole = self.register(offset) & ~mask | value
        timer, field = divmod(offset - 0x100, 0x20)
        if offset == 0x10:
            counter = self.counter()
            self.on, self.legacy = whole & 1, whole >> 1 & 1
            self.set_counter(counter)
        elif offset == 0x20:
            self.status &= ~value
        elif offset == 0xF0:
            self.set_counter(whole)
            self.seen = whole
        elif 0 <= timer <= 2 and field == 0:
            self._configure(timer, whole)
        elif 0 <= timer <= 2 and field == 8:
            self.timers[timer].put(value, mask)

    def _configure(self, number: int, value: int) -> None:
        timer = self.timers[number]
        route = value >> 9 & 31
        if route not in ROUTES:
            route = timer.route
        timer.config = value & 0x14E | route << 9
        timer.comparator %= timer.modulus
        if not value & LEVEL:
            self.status &= ~(1 << number)

    def save(self) -> dict[str, Any]:
        return {
            "version": 1,
            "config": self.on | self.legacy << 1,
            "status": self.status,
            "counter": self.counter(),
            "seen": self.seen,
            "timer_config": [t.config for t in self.timers],
            "comparator": [t.comparator for t in self.timers],
            "period": [t.period for t in self.timers],
        }
