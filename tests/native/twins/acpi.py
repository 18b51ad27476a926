"""Model of the ACPI fixed hardware (ACPI 6.5, 4.8): words, and the timer's carries counted."""

from __future__ import annotations

from typing import Any

from tests.native.devrig import Lines

SLEEP, GED, PM1_EVENT, PM1_CONTROL, GPE0 = range(5)
POWER_OFF, SLEEP_EVENT = 1, 6  # enum dev_event
TMR, WAK = 1, 1 << 15
ENABLES = 0x0721
HZ, NS = 3579545, 1_000_000_000
GSI = 9


class AcpiTwin(Lines):
    def __init__(self, timer_bits: int) -> None:
        super().__init__()
        self.timer_bits = timer_bits
        self.now = 0
        self.reset()

    def reset(self) -> None:
        self.ged = self.control = self.status = self.type = 0
        self.pm1_status = self.pm1_enable = self.pm1_control = 0
        self.gpe_status = self.gpe_enable = 0
        self.acknowledged = self.carries()
        self.update()

    def carries(self) -> int:
        """Changes of the PM timer's top bit so far."""
        return self.now * HZ // NS >> self.timer_bits - 1 if self.timer_bits else 0

    def pm1(self) -> int:
        return self.pm1_status | (TMR if self.carries() != self.acknowledged else 0)

    def update(self) -> None:
        pending = self.pm1() & self.pm1_enable or self.gpe_status & self.gpe_enable
        self.set(GSI, self.ged or pending)

    def read(self, region: int, offset: int, _size: int) -> int:
        if region == GED:
            byte = self.ged & 0xFF << 8 * offset
            self.ged -= byte
            self.update()
            return byte >> 8 * offset
        words = {
            SLEEP: self.control | self.status << 8,
            PM1_EVENT: self.pm1() | self.pm1_enable << 16,
            PM1_CONTROL: self.pm1_control | 1,
            GPE0: self.gpe_status | self.gpe_enable << 16,
        }
        return words[region] >> 8 * offset & 0xFF

    def write(self, region: int, offset: int, value: int, _size: int) -> int:
        event = 0
        shift = 8 * (offset % 2)
        keep = 0xFF00 >> shift
        if region == SLEEP and offset == 0:
            self.control = value & 0x1C
            event = self.sleep(value >> 2 & 7) if value & 0x20 else 0
        elif region == SLEEP:
            self.status &= ~value & 0x80
        elif region == PM1_EVENT and offset >= 2:
            self.pm1_enable = (self.pm1_enable & keep | value << shift) & ENABLES
        elif region == PM1_EVENT:
            self.pm1_status &= ~(value << shift)
            if value << shift & TMR:
                self.acknowledged = self.carries()
        elif region == PM1_CONTROL:
            self.pm1_control = (self.pm1_control & keep | value << shift) & 0x1C02
            if offset and value & 0x20:
                event = self.sleep(value >> 2 & 7)
        elif region == GPE0 and offset >= 2:
            self.gpe_enable = self.gpe_enable & keep | value << shift
        elif region == GPE0:
            self.gpe_status &= ~(value << shift)
        self.update()
        return event

    def sleep(self, kind: int) -> int:
        self.type = kind
        return POWER_OFF if kind == 5 else SLEEP_EVENT

    def step(self, ns: int) -> None:
        self.now += ns
        self.update()

    def save(self) -> dict[str, Any]:
        return {
            "version": 1,
            "ged": self.ged,
            "sleep_control": self.control,
            "sleep_status": self.status,
            "sleep_type": self.type,
            "pm1_status": self.pm1_status,
            "pm1_enable": self.pm1_enable,
            "pm1_control": self.pm1_control,
            "gpe_status": self.gpe_status,
            "gpe_enable": self.gpe_enable,
            "tmr_seen": self.acknowledged,
        }
