"""Model of the 8259A pair, from the data sheet. Interrupt lines are kept as sets of numbers."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

MASTER, SLAVE, ELCR = range(3)
CASCADE, SPURIOUS = 2, 7
ELCR_ALLOWED = (0xF8, 0xDE)


def bits(numbers: set[int]) -> int:
    return sum(1 << n for n in numbers)


def numbers(value: int) -> set[int]:
    return {n for n in range(8) if value >> n & 1}


class Chip:
    def __init__(self) -> None:
        self.inputs: set[int] = set()
        self.held: set[int] = set()  # high until their EOI as well
        self.elcr = 0
        self.base = 0
        self.initialize(0)
        self.mask.update(range(8))
        self.expects: list[str] = []

    def initialize(self, icw1: int) -> None:
        self.edges: set[int] = set()
        self.mask: set[int] = set()
        self.serving: set[int] = set()
        self.order = list(range(8))  # most urgent first
        self.icw4, self.single, self.ltim = icw1 & 1, icw1 >> 1 & 1, icw1 >> 3 & 1
        self.aeoi = self.rotate_aeoi = self.special_mask = self.nested = 0
        self.poll = self.read_isr = 0
        self.expects = ["icw2"] + ([] if self.single else ["icw3"]) + ["icw4"] * self.icw4

    def by_level(self) -> set[int]:
        return set(range(8)) if self.ltim else numbers(self.elcr)

    def requests(self) -> set[int]:
        level = self.by_level()
        return (self.edges - level) | ((self.inputs | self.held) & level)

    def candidate(
        self, extra: Set[int] = frozenset(), ignore: Set[int] = frozenset()
    ) -> int | None:
        """The request that is more urgent than everything being served."""
        serving = self.serving - ignore
        if self.special_mask:
            serving -= self.mask
        wanted = (self.requests() | extra) - self.mask
        for n in self.order:
            if n in serving:
                return None
            if n in wanted:
                return n
        return None

    def rotate(self, lowest: int) -> None:
        while self.order[-1] != lowest:
            self.order.append(self.order.pop(0))

    def acknowledge(self, n: int) -> None:
        self.edges.discard(n)
        if not self.aeoi:
            self.serving.add(n)
        elif self.rotate_aeoi:
            self.rotate(n)

    def data(self, value: int) -> None:
        word = self.expects.pop(0) if self.expects else "ocw1"
        if word == "ocw1":
            self.mask = numbers(value)
        elif word == "icw2":
            self.base = value & ~7
        elif word == "icw4":
            self.aeoi, self.nested = value >> 1 & 1, value >> 4 & 1

    def ocw2(self, value: int) -> None:
        rotate, specific, eoi = value >> 7 & 1, value >> 6 & 1, value >> 5 & 1
        line: int | None = value & 7
        if not eoi:
            if specific and rotate:
                self.rotate(value & 7)
            elif not specific:
                self.rotate_aeoi = rotate
            return
        if not specific:
            ends = self.serving - self.mask if self.special_mask else self.serving
            line = next((n for n in self.order if n in ends), None)
        if line is not None:
            self.serving.discard(line)
            if rotate:
                self.rotate(line)

    def ocw3(self, value: int) -> None:
        self.poll = value >> 2 & 1
        if value & 2:
            self.read_isr = value & 1
        if value & 0x40:
            self.special_mask = value >> 5 & 1


class PicTwin:
    def __init__(self) -> None:
        self.chips = (Chip(), Chip())
        self.edges: list[tuple[int, int]] = []  # drives no lines
        self.events: list[int] = []  # changes of the output
        self.ended: list[int] = []  # lines whose interrupts came to their end
        self._output = 0

    def candidate(self, chip: Chip) -> int | None:
        if chip is self.chips[1]:
            return chip.candidate()
        extra = {CASCADE} if self.chips[1].candidate() is not None else set()
        return chip.candidate(extra, {CASCADE} if chip.nested else set())

    @property
    def output(self) -> int:
        return int(self.candidate(self.chips[0]) is not None)

    def _changed(self) -> None:
        if self.output != self._output:
            self._output = self.output
            self.events.append(self._output)

    def set_line(self, line: int, level: int) -> None:
        chip = self.chips[line // 8]
        self._change(chip, chip.inputs, line % 8, level)

    def hold(self, line: int, held: int) -> None:
        chip = self.chips[line // 8]
        self._change(chip, chip.held, line % 8, held)

    def _change(self, chip: Chip, which: set[int], n: int, level: int) -> None:
        if level:
            if n not in chip.inputs | chip.held:
                chip.edges.add(n)
            which.add(n)
        else:
            which.discard(n)
        self._changed()

    def _end(self, chip: Chip, lines: set[int]) -> None:
        for n in sorted(lines):
            chip.held.discard(n)
            self.ended.append(n + 8 * self.chips.index(chip))

    def _take(self, chip: Chip, n: int) -> None:
        chip.acknowledge(n)
        if chip.aeoi:
            self._end(chip, {n})

    def acknowledge(self) -> int:
        chip = self.chips[0]
        n = self.candidate(chip)
        if n is None:
            return chip.base + SPURIOUS
        self._take(chip, n)
        if n == CASCADE:
            chip = self.chips[1]
            n = chip.candidate()
            if n is None:
                n = SPURIOUS
            else:
                self._take(chip, n)
        self._changed()
        return chip.base + n

    def read(self, region: int, offset: int, _size: int) -> int:
        if region == ELCR:
            return self.chips[offset].elcr
        chip = self.chips[region]
        if chip.poll:
            chip.poll = 0
            n = self.candidate(chip)
            if n is None:
                return 0
            self._take(chip, n)
            self._changed()
            return 0x80 | n
        if offset:
            return bits(chip.mask)
        if chip.read_isr:
            return bits(chip.serving)
        cascade = region == MASTER and self.chips[1].candidate() is not None
        return bits(chip.requests() | ({CASCADE} if cascade else set()))

    def write(self, region: int, offset: int, value: int, _size: int) -> int:
        if region == ELCR:
            chip = self.chips[offset]
            chip.elcr = value & ELCR_ALLOWED[offset]
            chip.edges -= numbers(chip.elcr)
        elif offset:
            self.chips[region].data(value)
        else:
            self._command(self.chips[region], value)
        self._changed()
        return 0

    def _command(self, chip: Chip, value: int) -> None:
        serving = set(chip.serving)
        if value & 0x10:
            chip.initialize(value)
        elif value & 8:
            chip.ocw3(value)
        else:
            chip.ocw2(value)
        self._end(chip, serving - chip.serving)

    def step(self, _ns: int) -> None:
        pass

    def save(self) -> dict[str, Any]:
        def both(what: Any) -> list[int]:
            return [int(what(chip)) for chip in self.chips]

        codes = {"icw2": 2, "icw3": 3, "icw4": 4}
        return {
            "version": 1,
            "output": self.output,
            "lines": both(lambda c: bits(c.inputs)),
            "irr": both(lambda c: bits(c.edges)),
            "imr": both(lambda c: bits(c.mask)),
            "isr": both(lambda c: bits(c.serving)),
            "elcr": both(lambda c: c.elcr),
            "base": both(lambda c: c.base),
            "lowest": both(lambda c: c.order[-1]),
            "init": both(lambda c: codes[c.expects[0]] if c.expects else 0),
            "icw4": both(lambda c: c.icw4),
            "single": both(lambda c: c.single),
            "level_mode": both(lambda c: c.ltim),
            "auto_eoi": both(lambda c: c.aeoi),
            "rotate_on_auto_eoi": both(lambda c: c.rotate_aeoi),
            "special_mask": both(lambda c: c.special_mask),
            "special_fully_nested": both(lambda c: c.nested),
            "poll": both(lambda c: c.poll),
            "read_isr": both(lambda c: c.read_isr),
        }
