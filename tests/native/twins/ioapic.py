"""Model of the I/O APIC, from the 82093AA's data sheet. A pin is a dict of named fields."""

from __future__ import annotations

from typing import Any

REG_ID, REG_VERSION, REG_ARBITRATION, REG_RTE = 0, 1, 2, 0x10
SELECT, WINDOW, EOI = 0, 0x10, 0x40
ONES = 0xFFFFFFFF

FIELDS = {  # name: (first bit, width)
    "vector": (0, 8),
    "delivery": (8, 3),
    "logical": (11, 1),
    "low": (13, 1),
    "remote_irr": (14, 1),
    "level": (15, 1),
    "masked": (16, 1),
    "destination": (56, 8),
}


class Pin:
    def __init__(self) -> None:
        self.f = dict.fromkeys(FIELDS, 0) | {"masked": 1}
        self.high = 0
        self.held = 0  # high until its EOI as well

    def word(self) -> int:
        return sum(self.f[name] << first for name, (first, _width) in FIELDS.items())

    def put(self, half: int, value: int) -> None:
        for name, (first, width) in FIELDS.items():
            if name != "remote_irr" and first // 32 == half:
                self.f[name] = value >> first % 32 & ((1 << width) - 1)
        if not self.f["level"]:
            self.f["remote_irr"] = 0

    def message(self) -> tuple[int, int]:
        f = self.f
        address = 0xFEE00000 | f["destination"] << 12 | f["logical"] << 2
        return address, f["vector"] | f["delivery"] << 8 | 1 << 14 | f["level"] << 15


class IoApicTwin:
    """`takes(address, data)` says whether a local APIC accepts a message."""

    def __init__(self, pins: int, takes: Any) -> None:
        self.pins = [Pin() for _ in range(pins)]
        self.takes = takes
        self.select = self.id = 0
        self.sent: list[tuple[int, int]] = []
        self.ended: list[int] = []  # pins whose interrupts came to their end
        self.routes: dict[int, tuple[int, int]] = {}
        self.edges: list[tuple[int, int]] = []

    def _send(self, pin: Pin) -> None:
        f = pin.f
        if f["masked"] or f["remote_irr"] or f["delivery"] == 7:
            return
        self.sent.append(pin.message())
        if self.takes(*pin.message()) and f["level"]:
            f["remote_irr"] = 1

    def _level(self, pin: Pin) -> None:
        if pin.f["level"] and (pin.high or pin.held):
            self._send(pin)

    def set_line(self, number: int, level: int) -> None:
        pin = self.pins[number]
        rises = level and not (pin.high or pin.held)
        pin.high = level
        self._changed(pin, rises)

    def hold(self, number: int, held: int) -> None:
        pin = self.pins[number]
        rises = held and not (pin.high or pin.held)
        pin.held = held
        self._changed(pin, rises)

    def _changed(self, pin: Pin, rises: object) -> None:
        if pin.f["level"]:
            self._level(pin)
        elif rises:
            self._send(pin)

    def end(self, vector: int) -> None:
        for number, pin in enumerate(self.pins):
            if pin.f["remote_irr"] and pin.f["vector"] == vector:
                pin.f["remote_irr"] = pin.held = 0
                self.ended.append(number)
                self._level(pin)

    def _window(self) -> int:
        if self.select in (REG_ID, REG_ARBITRATION):
            return self.id << 24
        if self.select == REG_VERSION:
            return 0x20 | len(self.pins) - 1 << 16
        number, half = divmod(self.select - REG_RTE, 2)
        if not 0 <= number < len(self.pins):
            return ONES
        return self.pins[number].word() >> 32 * half & ONES

    def read(self, _region: int, offset: int, size: int) -> int:
        value = (1 << 8 * size) - 1
        if offset == SELECT:
            value = self.select
        elif offset == WINDOW:
            value = self._window()
        return value & (1 << 8 * size) - 1

    def write(self, _region: int, offset: int, value: int, _size: int) -> int:
        value &= ONES
        if offset == SELECT:
            self.select = value & 0xFF
        elif offset == EOI:
            self.end(value & 0xFF)
        elif offset == WINDOW and self.select == REG_ID:
            self.id = value >> 24 & 0xF
        elif offset == WINDOW:
            number, half = divmod(self.select - REG_RTE, 2)
            if 0 <= number < len(self.pins):
                self._entry_written(number, half, value)
        return 0

    def _entry_written(self, number: int, half: int, value: int) -> None:
        pin = self.pins[number]
        masked = pin.f["masked"]
        pin.put(half, value)
        if not pin.f["masked"]:
            if pin.f["level"]:
                self.routes[number] = pin.message()
            else:
                self.routes.pop(number, None)
        if masked and not pin.f["masked"] and pin.f["level"] and not pin.f["remote_irr"]:
            if pin.held:
                pin.held = 0
                self.ended.append(number)
        self._level(pin)

    def step(self, _ns: int) -> None:
        pass

    def save(self) -> dict[str, Any]:
        rte = [pin.word() for pin in self.pins]
        return {
            "version": 1,
            "pins": len(self.pins),
            "select": self.select,
            "id": self.id << 24,
            "lines": sum(pin.high << number for number, pin in enumerate(self.pins)),
            "rte": rte + [0] * (48 - len(rte)),
        }
