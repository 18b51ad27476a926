"""Model of the 8254, clock by clock: every counter is decremented on every tick."""

from __future__ import annotations

from typing import Any

from tests.native.devrig import Lines

COUNTERS, PORT61 = 0, 1
HZ, NS = 1193182, 1_000_000_000
MIN_IRQ_NS = 100_000
LOW, HIGH, BOTH = 1, 2, 3


def digits_to_number(value: int) -> int:
    return sum((value >> 4 * n & 0xF) * 10**n for n in range(4))


def number_to_digits(value: int) -> int:
    return sum(value // 10**n % 10 << 4 * n for n in range(4))


class Counter:
    def __init__(self, gate: bool) -> None:
        self.gate = gate
        self.access, self.size = BOTH, 0x10000
        self.control(BOTH << 4)
        self.reload = self.size

    def control(self, word: int) -> None:
        mode = word >> 1 & 7
        self.mode = mode & 3 if mode & 2 else mode
        self.access, self.bcd = word >> 4 & 3, word & 1
        self.size = 10000 if self.bcd else 0x10000
        self.out = int(self.mode != 0)
        self.loaded = self.triggered = False
        self.pending = 0
        self.left = 0  # what the counting element holds; negative after the terminal count
        self.low: int | None = None
        self.high_next = False
        self.latch: list[int] = []
        self.status: int | None = None

    # --- counting

    def runs(self) -> bool:
        return self.loaded and (self.triggered if self.mode in (1, 5) else self.gate)

    def begin(self) -> None:
        """Takes the count, as the clock after writing or triggering does."""
        self.reload, self.pending = self.pending or self.reload, 0
        self.left = self.reload
        if self.mode == 3:
            self.left &= ~1
        self.out = {0: 0, 1: int(not self.triggered), 2: int(self.left != 1 or not self.gate)}.get(
            self.mode, 1
        )

    def tick(self) -> None:
        if not self.runs():
            return
        if self.mode == 2:
            self.left -= 1
            if self.left == 0:
                self.begin()
            elif self.left == 1:
                self.out = 0
        elif self.mode == 3:
            self._square()
        else:
            self.left -= 1
            if self.mode in (4, 5):
                self.out = int(self.left != 0)
            elif self.left == 0:
                self.out = 1

    def _square(self) -> None:
        odd = self.reload & 1
        if self.reload == 1:
            self.begin()
        elif self.out and odd and self.left == 0:
            self.out, self.left = 0, self.reload - 1
        else:
            self.left -= 2
            if self.left == 0 and not (self.out and odd):
                if self.out:
                    self.out, self.left = 0, self.reload & ~1
                else:
                    self.begin()

    # --- accesses

    def write(self, value: int) -> None:
        if self.access == BOTH and self.low is None:
            self.low = value
            if self.mode == 0:
                self.loaded, self.out = False, 0
            return
        number = value << 8 if self.access == HIGH else value
        if self.access == BOTH:
            assert self.low is not None
            number, self.low = value << 8 | self.low, None
        if self.bcd:
            number = digits_to_number(number)
        running, self.loaded = self.runs(), True
        self.pending = number or self.size
        if not (running and self.mode in (1, 2, 3, 5)):
            self.begin()

    def count(self) -> int:
        return self.left % self.size if self.loaded else 0

    def shown(self) -> int:
        return number_to_digits(self.count()) if self.bcd else self.count()

    def latch_count(self) -> None:
        if not self.latch:
            low, high = self.shown() & 0xFF, self.shown() >> 8
            self.latch = {LOW: [low], HIGH: [high], BOTH: [low, high]}[self.access]

    def latch_status(self) -> None:
        if self.status is None:
            waits = not self.loaded or self.pending or (self.mode in (1, 5) and not self.triggered)
            self.status = (
                self.out << 7 | bool(waits) << 6 | self.access << 4 | self.mode << 1 | self.bcd
            )

    def read(self) -> int:
        if self.status is not None:
            status, self.status = self.status, None
            return status
        if self.latch:
            return self.latch.pop(0)
        high = self.access == HIGH
        if self.access == BOTH:
            high, self.high_next = self.high_next, not self.high_next
        return self.shown() >> 8 if high else self.shown() & 0xFF

    def set_gate(self, gate: bool) -> None:
        rises, falls = gate and not self.gate, self.gate and not gate
        self.gate = gate
        if rises and self.mode in (1, 5):
            self.triggered = self.loaded
            self.begin()
            if not self.loaded:
                self.out = 1
        elif rises and self.mode in (2, 3):
            self.begin()
            if not self.loaded:
                self.out = 1
        elif falls and self.mode in (2, 3):
            self.out = 1
            self.left = self.reload & ~(self.mode & 1)


class PitTwin(Lines):
    def __init__(self) -> None:
        super().__init__()
        self.now = self.ticks = 0
        self.counters = [Counter(True), Counter(True), Counter(False)]
        self.port61 = 0
        self.rise: int | None = None  # ns of an output's rise that the line has yet to show
        self.last = -MIN_IRQ_NS

    def _level(self) -> int:
        return self.counters[0].out if self.counters[0].mode == 0 else 1

    def step(self, ns: int) -> None:
        end = self.now + ns
        while True:
            next_tick = -(-(self.ticks + 1) * NS // HZ)
            due = None if self.rise is None else max(self.rise, self.last + MIN_IRQ_NS)
            if due is not None and due <= end and due < next_tick:
                self._interrupt(due)
            elif next_tick <= end:
                self._tick(next_tick)
            else:
                break
        self.now = end

    def _tick(self, when: int) -> None:
        self.ticks += 1
        before = self.counters[0].out
        # A square wave or rate generator of one clock rises on every clock.
        always = self.counters[0].runs() and self.counters[0].reload == 1
        for counter in self.counters:
            counter.tick()
        after = self.counters[0]
        if (after.out > before or (always and after.mode in (2, 3))) and self.rise is None:
            self.rise = when

    def _interrupt(self, when: int) -> None:
        self.rise, self.last = None, when
        self.set(0, 0)
        self.set(0, self._level())

    def read(self, region: int, offset: int, _size: int) -> int:
        if region == PORT61:
            return self.port61 | (self.ticks // 18 & 1) << 4 | self.counters[2].out << 5
        return 0xFF if offset == 3 else self.counters[offset].read()

    def write(self, region: int, offset: int, value: int, _size: int) -> int:
        if region == PORT61:
            self.port61 = value & 0xF
            self.counters[2].set_gate(bool(value & 1))
            return 0
        if offset < 3:
            self.counters[offset].write(value)
        elif value >> 6 < 3:
            counter = self.counters[value >> 6]
            if value & 0x30:
                counter.control(value)
            else:
                counter.latch_count()
        else:
            for n, counter in enumerate(self.counters):
                if value >> 1 + n & 1 and not value & 0x20:
                    counter.latch_count()
                if value >> 1 + n & 1 and not value & 0x10:
                    counter.latch_status()
        if offset == 0 or (offset == 3 and value >> 6 == 0):
            self.rise = None
            self.set(0, self._level())
        return 0

    def save(self) -> dict[str, Any]:
        """What can be compared; the C side has moments where this one has counts."""
        c = self.counters
        return {
            "version": 1,
            "mode": [x.mode for x in c],
            "access": [x.access for x in c],
            "bcd": [x.bcd for x in c],
            "gate": [int(x.gate) for x in c],
            "loaded": [int(x.loaded) for x in c],
            "triggered": [int(x.triggered) for x in c],
            "have_low": [int(x.low is not None) for x in c],
            "read_high": [int(x.high_next) for x in c],
            "status_latched": [int(x.status is not None) for x in c],
            "port61": self.port61,
            "line": self._levels.get(0, 0),
        }
