"""A 16550A as its data sheet describes it (National PC16550D), with an infinitely fast line."""

from __future__ import annotations

# Registers, by offset.
DATA, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR = range(8)
TIMEOUT_NS = 347222  # four characters of ten bits at 115200 baud
TRIGGERS = (1, 4, 8, 14)


class UartTwin:
    """`room` is how many bytes the line still takes, None for any number."""

    def __init__(self, room: int | None = None) -> None:
        self.room = room
        self.now = 0
        self.sent = bytearray()
        self.reset()

    def reset(self) -> None:
        self.ier = self.fcr = self.lcr = self.mcr = self.scr = 0
        self.divisor = [0, 0]
        self.delta = 0
        self.overrun = False
        self.empty_interrupt = False
        self.timed_out = False
        self.deadline = -1
        self.received: list[tuple[int, int]] = []  # byte, LSR error bits
        self.waiting = bytearray()

    # --- what follows from the registers

    @property
    def fifo(self) -> bool:
        return bool(self.fcr & 1)

    @property
    def depth(self) -> int:
        return 16 if self.fifo else 1

    @property
    def loop(self) -> bool:
        return bool(self.mcr & 0x10)

    @property
    def dlab(self) -> bool:
        return bool(self.lcr & 0x80)

    def modem(self) -> int:
        """MSR bits 7..4: DCD RI DSR CTS."""
        if not self.loop:
            return 0b1011 << 4
        dtr, rts, out1, out2 = (self.mcr >> n & 1 for n in range(4))
        return out2 << 7 | out1 << 6 | dtr << 5 | rts << 4

    def line_status(self) -> int:
        value = 0x60 if not self.waiting else 0
        value |= 0x02 if self.overrun else 0
        if self.received:
            value |= 0x01 | self.received[0][1]
        if self.fifo and any(errors for _byte, errors in self.received):
            value |= 0x80
        return value

    def identification(self) -> int:
        trigger = TRIGGERS[self.fcr >> 6] if self.fifo else 1
        candidates = (
            (2, bool(self.line_status() & 0x1E), 0x06),
            (0, len(self.received) >= trigger, 0x04),
            (0, self.timed_out, 0x0C),
            (1, self.empty_interrupt, 0x02),
            (3, bool(self.delta), 0x00),
        )
        for enable, active, code in candidates:
            if active and self.ier >> enable & 1:
                return code
        return 0x01

    @property
    def raised(self) -> bool:
        return self.identification() != 0x01 and bool(self.mcr & 0x08) and not self.loop

    # --- the line

    def _arrive(self, byte: int, errors: int = 0) -> None:
        if len(self.received) == self.depth:
            self.overrun = True
            if self.fifo:
                return
            self.received.clear()
        self.received.append((byte, errors))

    def _restart_timeout(self) -> None:
        self.timed_out = False
        self.deadline = self.now + TIMEOUT_NS if self.fifo and self.received else -1

    def receive(self, data: bytes) -> int:
        taken = 0 if self.loop else min(len(data), self.depth - len(self.received))
        for byte in data[:taken]:
            self._arrive(byte)
        if taken:
            self._restart_timeout()
        return taken

    def send_break(self) -> None:
        if not self.loop:
            self._arrive(0, 0x10)
        self._restart_timeout()

    def step(self, ns: int) -> None:
        self.now += ns
        if 0 <= self.deadline <= self.now:
            self.deadline = -1
            self.timed_out = True

    def _transmit(self) -> None:
        n = len(self.waiting) if self.room is None else min(self.room, len(self.waiting))
        self.sent += self.waiting[:n]
        had = bool(self.waiting)
        del self.waiting[:n]
        if self.room is not None:
            self.room -= n
        if had and not self.waiting:
            self.empty_interrupt = True

    # --- the registers

    def read(self, offset: int) -> int:
        if offset == DATA:
            return self.divisor[0] if self.dlab else self._read_data()
        if offset == IER:
            return self.divisor[1] if self.dlab else self.ier
        if offset == IIR_FCR:
            code = self.identification()
            if code == 0x02:
                self.empty_interrupt = False
            return code | (0xC0 if self.fifo else 0)
        if offset == LSR:
            value = self.line_status()
            self.overrun = False
            if self.received:
                self.received[0] = self.received[0][0], 0
            return value
        if offset == MSR:
            value = self.modem() | self.delta
            self.delta = 0
            return value
        return {LCR: self.lcr, MCR: self.mcr, SCR: self.scr}[offset]

    def _read_data(self) -> int:
        if not self.received:
            return 0
        byte, _errors = self.received.pop(0)
        self._restart_timeout()
        return byte

    def write(self, offset: int, value: int) -> None:
        if offset == DATA and self.dlab:
            self.divisor[0] = value
        elif offset == DATA:
            self._write_data(value)
        elif offset == IER and self.dlab:
            self.divisor[1] = value
        elif offset == IER:
            if value & 2 and not self.ier & 2 and not self.waiting:
                self.empty_interrupt = True
            self.ier = value & 0x0F
        elif offset == IIR_FCR:
            self._write_fifo_control(value)
        elif offset == LCR:
            self.lcr = value
        elif offset == MCR:
            self._write_modem_control(value & 0x1F)
        elif offset == SCR:
            self.scr = value

    def _write_data(self, value: int) -> None:
        if self.loop:
            self._arrive(value)
            self._restart_timeout()
            self.empty_interrupt = True
            return
        if len(self.waiting) == self.depth:
            if self.fifo:
                return
            self.waiting.clear()
        self.empty_interrupt = False
        self.waiting.append(value)
        self._transmit()

    def _write_fifo_control(self, value: int) -> None:
        toggled = (self.fcr ^ value) & 1
        effective = value if value & 1 else 0
        self.fcr = effective & 0xC1
        if toggled or effective & 2:
            self.received.clear()
            self._restart_timeout()
        if (toggled or effective & 4) and self.waiting:
            self.waiting.clear()
            self.empty_interrupt = True

    def _write_modem_control(self, value: int) -> None:
        before = self.modem()
        self.mcr = value
        changed = before ^ self.modem()
        for bit in (4, 5, 7):  # CTS, DSR, DCD: any change
            self.delta |= (changed >> bit & 1) << (bit - 4)
        self.delta |= (changed & before) >> 4 & 4  # RI: its end

    def save(self) -> dict[str, int | list[int]]:
        def padded(values: list[int]) -> list[int]:
            return values + [0] * (16 - len(values))

        return {
            "version": 1,
            "ier": self.ier,
            "fcr": self.fcr,
            "lcr": self.lcr,
            "mcr": self.mcr,
            "scr": self.scr,
            "dll": self.divisor[0],
            "dlm": self.divisor[1],
            "msr_delta": self.delta,
            "overrun": int(self.overrun),
            "thre_pending": int(self.empty_interrupt),
            "timed_out": int(self.timed_out),
            "rx_count": len(self.received),
            "tx_count": len(self.waiting),
            "rx": padded([byte for byte, _errors in self.received]),
            "rx_flags": padded([errors for _byte, errors in self.received]),
            "tx": padded(list(self.waiting)),
            "deadline": self.deadline,
        }
