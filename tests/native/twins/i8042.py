"""Model of the keyboard controller and its PS/2 devices: tables of commands and answers."""

from __future__ import annotations

from typing import Any

from tests.native.devrig import Lines

DATA, COMMAND = 0, 1
RESET = 2  # enum dev_event
KEYBOARD_GSI, MOUSE_GSI = 1, 12
OUT, SYS, CMD, OPEN, AUX = 1, 4, 8, 16, 32
ACK, AGAIN = 0xFA, 0xFE
TRANSLATED = {0x01: 0x43, 0x02: 0x41, 0x03: 0x3F, 0x83: 0x41}
PLAIN_ANSWERS = {0xA4: 0xF1, 0xAA: 0x55, 0xA9: 0, 0xAB: 0, 0xC0: 0x80, 0xE0: 0}
WITH_DATA = {0xD1, 0xD2, 0xD3, 0xD4} | set(range(0x60, 0x80))


class Device:
    """Common to both: FF FE F6 F5 F4 F3."""

    mouse = False
    arguments: tuple[int, ...] = (0xF3,)

    def __init__(self) -> None:
        self.queue: list[int] = []
        self.waiting = self.last = 0
        self.defaults()

    def defaults(self) -> None:
        self.reporting, self.scan_set, self.resolution, self.rate, self.flags = 0, 2, 2, 100, 0

    def take(self) -> int | None:
        if not self.queue:
            return None
        self.last = self.queue.pop(0)
        return self.last

    def write(self, byte: int) -> None:
        waiting, self.waiting = self.waiting, 0
        if waiting and byte != 0xFF:
            self.queue = [*self.queue, ACK, *self.argument(waiting, byte)][:8]
            return
        self.queue = self.answer(byte)

    def answer(self, byte: int) -> list[int]:
        if byte == 0xFE:
            return [self.last]
        if byte in self.arguments:
            self.waiting = byte
            return [ACK]
        if byte in (0xFF, 0xF6):
            self.defaults()
            return [ACK] + ([0xAA] + [0] * self.mouse if byte == 0xFF else [])
        if byte in (0xF4, 0xF5):
            self.reporting = int(byte == 0xF4)
            return [ACK]
        return self.special(byte)

    def argument(self, command: int, byte: int) -> list[int]:
        return []

    def special(self, byte: int) -> list[int]:
        return [AGAIN]


class Keyboard(Device):
    arguments = (0xF3, 0xED, 0xF0)

    def argument(self, command: int, byte: int) -> list[int]:
        if command == 0xF0 and byte in (1, 2, 3):
            self.scan_set = byte
        return [self.scan_set] if command == 0xF0 and byte == 0 else []

    def special(self, byte: int) -> list[int]:
        if byte in range(0xF7, 0xFB):
            return [ACK]
        return {0xEE: [0xEE], 0xF2: [ACK, 0xAB, 0x83]}.get(byte, [AGAIN])


class Mouse(Device):
    mouse = True
    arguments = (0xF3, 0xE8)

    def argument(self, command: int, byte: int) -> list[int]:
        if command == 0xF3:
            self.rate = byte
        else:
            self.resolution = byte & 3
        return []

    def special(self, byte: int) -> list[int]:
        changes = {0xE6: (0x10, 0), 0xE7: (0x10, 0x10), 0xEA: (0x40, 0), 0xF0: (0x40, 0x40)}
        if byte in changes:
            mask, bits = changes[byte]
            self.flags = self.flags & ~mask | bits
            return [ACK]
        answers = {
            0xF2: [0],
            0xE9: [self.flags | self.reporting << 5, self.resolution, self.rate],
            0xEB: [8, 0, 0],
        }
        return [ACK, *answers[byte]] if byte in answers else [AGAIN]


class I8042Twin(Lines):
    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self) -> None:
        self.keyboard, self.mouse = Keyboard(), Mouse()
        self.ram = [0x45] + [0] * 31
        self.status = SYS | OPEN
        self.out = 0
        self.reply: tuple[int, bool] | None = None
        self.old_reply = (0, False)
        self.waiting = 0
        self.a20 = 1
        self.refill()

    def refill(self) -> None:
        if not self.status & OUT:
            self._next_byte()
        full, aux = self.status & OUT, self.status & AUX
        self.set(KEYBOARD_GSI, full and not aux and self.ram[0] & 1)
        self.set(MOUSE_GSI, full and aux and self.ram[0] & 2)

    def _next_byte(self) -> None:
        if self.reply is not None:
            byte, from_mouse = self.reply
            self.old_reply, self.reply = self.reply, None
            self._fill(byte, from_mouse)
            return
        for device, off in ((self.keyboard, 0x10), (self.mouse, 0x20)):
            if self.ram[0] & off:
                continue
            taken = device.take()
            if taken is not None:
                translate = not device.mouse and self.ram[0] & 0x40
                self._fill(TRANSLATED.get(taken, taken) if translate else taken, device.mouse)
                return

    def _fill(self, byte: int, from_mouse: bool) -> None:
        self.out = byte
        self.status |= OUT | (AUX if from_mouse else 0)

    def read(self, region: int, _offset: int, _size: int) -> int:
        if region == COMMAND:
            return self.status
        byte = self.out
        if self.status & OUT:
            self.status &= ~(OUT | AUX)
            self.set(KEYBOARD_GSI, 0)
            self.set(MOUSE_GSI, 0)
            self.refill()
        return byte

    def write(self, region: int, _offset: int, value: int, _size: int) -> int:
        self.status = self.status & ~CMD | (CMD if region == COMMAND else 0)
        waiting, self.waiting = self.waiting, 0
        event = self._command(value) if region == COMMAND else self._data(waiting, value)
        self.refill()
        return event

    def _command(self, value: int) -> int:
        switches = {0xA7: (0x20, 1), 0xA8: (0x20, 0), 0xAD: (0x10, 1), 0xAE: (0x10, 0)}
        if value in switches:
            mask, on = switches[value]
            self.ram[0] = self.ram[0] & ~mask | mask * on
        elif value in WITH_DATA:
            self.waiting = value
        elif value in PLAIN_ANSWERS:
            self.reply = (PLAIN_ANSWERS[value], False)
            self.status |= SYS if value == 0xAA else 0
        elif value in range(0x20, 0x40):
            self.reply = (self.ram[value - 0x20], False)
        elif value == 0xD0:
            full, aux = self.status & OUT, bool(self.status & AUX)
            port = 0xC1 | self.a20 << 1 | (1 << 4 + aux if full else 0)
            self.reply = (port, False)
        elif value in (0xDD, 0xDF):
            self.a20 = int(value == 0xDF)
        elif value >= 0xF0 and value % 2 == 0:
            return RESET
        return 0

    def _data(self, waiting: int, value: int) -> int:
        if waiting == 0:
            self.ram[0] &= ~0x10
            self.keyboard.write(value)
        elif waiting == 0xD1:
            self.a20 = value >> 1 & 1
            return 0 if value & 1 else RESET
        elif waiting in (0xD2, 0xD3):
            self.reply = (value, waiting == 0xD3)
        elif waiting == 0xD4:
            self.ram[0] &= ~0x20
            self.mouse.write(value)
        else:
            self.ram[waiting - 0x60] = value
            if waiting == 0x60:
                self.status = self.status & ~SYS | value & SYS
        return 0

    def step(self, _ns: int) -> None:
        pass

    def save(self) -> dict[str, Any]:
        pair = (self.keyboard, self.mouse)
        reply, from_mouse = self.reply or self.old_reply
        return {
            "version": 1,
            "status": self.status,
            "out": self.out,
            "reply": reply,
            "have_reply": int(self.reply is not None),
            "reply_from_mouse": int(from_mouse),
            "command": self.waiting,
            "a20": self.a20,
            "ram": self.ram,
            "reporting": [d.reporting for d in pair],
            "argument_of": [d.waiting for d in pair],
            "scan_set": [d.scan_set for d in pair],
            "resolution": [d.resolution for d in pair],
            "rate": [d.rate for d in pair],
            "flags": [d.flags for d in pair],
            "last": [d.last for d in pair],
            "count": [len(d.queue) for d in pair],
            "keyboard_queue": (self.keyboard.queue + [0] * 8)[:8],
            "mouse_queue": (self.mouse.queue + [0] * 8)[:8],
        }
