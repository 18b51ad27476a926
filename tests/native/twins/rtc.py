"""Model of the MC146818A: a calendar that is moved on second by second."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests.native.devrig import Lines

NS, XTAL, UIP_NS = 1_000_000_000, 32768, 244141
A, B, C, D, CENTURY = 10, 11, 12, 13, 0x32
TIME = (0, 2, 4, 6, 7, 8, 9, CENTURY)
SET, PIE, AIE, UIE, SQWE, DM, H24 = 0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02
GSI = 8


class RtcTwin(Lines):
    def __init__(self, seconds: int, ns: int, cmos: dict[int, int]) -> None:
        super().__init__()
        self.now = self.index = 0
        self.cmos = bytearray(128)
        for place, value in cmos.items():
            self.cmos[place] = value
        self.cmos[A], self.cmos[B], self.cmos[D] = 0x26, H24, 0x80
        self.set_time(seconds, ns)

    def set_time(self, seconds: int, ns: int) -> None:
        """The calendar of `seconds` since 1970."""
        self.moment = datetime(1970, 1, 1) + timedelta(seconds=seconds)
        self.cycles_of_400_years = 0  # years beyond what `moment` says
        self.shift = 0
        self.chain = ns  # of the divider chain; every 10^9 a second ends
        self.freeze()

    # --- formats

    def encode(self, value: int) -> int:
        return value if self.cmos[B] & DM else value // 10 << 4 | value % 10

    def decode(self, byte: int) -> int:
        return byte if self.cmos[B] & DM else (byte >> 4) * 10 + (byte & 0xF)

    def encode_hour(self, hour: int) -> int:
        if self.cmos[B] & H24:
            return self.encode(hour)
        return self.encode((hour + 11) % 12 + 1) | (0x80 if hour >= 12 else 0)

    def decode_hour(self, byte: int) -> int:
        if self.cmos[B] & H24:
            return self.decode(byte)
        return self.decode(byte & 0x7F) % 12 + (12 if byte & 0x80 else 0)

    # --- running

    def chain_runs(self) -> bool:
        return self.cmos[A] >> 4 & 7 == 2

    def runs(self) -> bool:
        return self.chain_runs() and not self.cmos[B] & SET

    def freeze(self) -> None:
        m = self.moment
        year = m.year + 400 * self.cycles_of_400_years
        weekday = (m.isoweekday() + self.shift) % 7 + 1
        self.cmos[0], self.cmos[2] = self.encode(m.second), self.encode(m.minute)
        self.cmos[4], self.cmos[6] = self.encode_hour(m.hour), self.encode(weekday)
        self.cmos[7], self.cmos[8] = self.encode(m.day), self.encode(m.month)
        self.cmos[9] = self.encode(year % 100)
        self.cmos[CENTURY] = self.encode(year // 100 % 100)

    def thaw(self) -> None:
        c = self.cmos
        month = self.decode(c[8]) - 1
        year = self.decode(c[CENTURY]) * 100 + self.decode(c[9]) + month // 12
        self.cycles_of_400_years, year_of_cycle = divmod(year - 2000, 400)
        self.moment = datetime(2000 + year_of_cycle, month % 12 + 1, 1) + timedelta(
            days=self.decode(c[7]) - 1,
            hours=self.decode_hour(c[4]),
            minutes=self.decode(c[2]),
            seconds=self.decode(c[0]),
        )
        self.shift = (self.decode(c[6]) - 1 - self.moment.isoweekday()) % 7

    def period_index(self) -> int:
        rate = self.cmos[A] & 0xF
        shift = rate + 6 if rate in (1, 2) else rate - 1
        return self.chain * XTAL // NS >> shift if rate else 0

    def step(self, ns: int) -> None:
        while ns:
            part = min(ns, NS - self.chain % NS)
            self._pass(part)
            ns -= part
        self.update()

    def _pass(self, ns: int) -> None:
        self.now += ns
        before = self.period_index()
        self.chain += ns
        if self.chain_runs() and self.period_index() != before:
            self.cmos[C] |= PIE
        if self.chain % NS == 0 and self.runs():
            self.moment += timedelta(seconds=1)
            self.cmos[C] |= UIE | (AIE if self.alarm() else 0)

    def alarm(self) -> bool:
        m = self.moment
        wanted = (self.cmos[1], self.cmos[3], self.cmos[5])
        shown = (self.encode(m.second), self.encode(m.minute), self.encode_hour(m.hour))
        return all(w >= 0xC0 or w == s for w, s in zip(wanted, shown, strict=True))

    def pending(self) -> bool:
        return bool(self.cmos[B] & self.cmos[C] & (PIE | AIE | UIE))

    def update(self) -> None:
        self.set(GSI, self.pending())

    # --- accesses

    def read(self, _region: int, offset: int, _size: int) -> int:
        if offset == 0:
            return 0xFF
        if self.index == C:
            flags = self.cmos[C] | (0x80 if self.pending() else 0)
            self.cmos[C] = 0
            self.update()
            return flags
        if self.index == A and self.runs() and self.chain % NS >= NS - UIP_NS:
            return self.cmos[A] | 0x80
        if self.index in TIME and self.runs():
            self.freeze()
        return self.cmos[self.index]

    def write(self, _region: int, offset: int, value: int, _size: int) -> int:
        if offset == 0:
            self.index = value & 0x7F
        elif self.index in (A, B):
            self._control(value)
        elif self.index not in (C, D):
            running = self.runs() and self.index in TIME
            if running:
                self.freeze()
            self.cmos[self.index] = value
            if running:
                self.thaw()
        self.update()
        return 0

    def _control(self, value: int) -> None:
        ran, chain_ran = self.runs(), self.chain_runs()
        if ran:
            self.freeze()
        if self.index == A:
            self.cmos[A] = value & 0x7F
        else:
            self.cmos[B] = value & ~UIE if value & SET else value
        if self.chain_runs() and not chain_ran:
            self.chain = NS // 2
        if self.runs() and not ran:
            self.thaw()

    def reset(self) -> None:
        self.cmos[B] &= ~(PIE | AIE | UIE | SQWE)
        self.cmos[C] = 0
        self.update()

    def save(self) -> dict[str, Any]:
        """Without how the C side keeps time."""
        if self.runs():
            self.freeze()
        return {
            "version": 1,
            "index": self.index,
            "weekday_shift": self.shift,
            "flags_ns": self.now,
            "cmos": list(self.cmos),
        }
