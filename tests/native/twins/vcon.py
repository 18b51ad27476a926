"""What a virtio console and its driver tell each other (virtio 1.2, 5.3.6.2), as a model.

It keeps, for every port number, the story that the driver has yet to hear as a list of steps; the C
core keeps bits. Both must tell the same.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

DEVICE_READY, ADD, REMOVE, READY, CONSOLE, RESIZE, OPEN, NAME = range(8)


@dataclass
class Port:
    """A port that exists on the host. `open` is the host's end."""

    console: bool
    name: str
    open: bool = False
    told: bool = False  # ADD was sent
    ready: bool = False
    failed: bool = False
    guest_open: bool = False
    told_open: bool = False
    hung_up: bool = False  # closed since the driver believes it open
    introduce: list[int] = field(default_factory=list)  # what READY is answered with


@dataclass
class Number:
    """What goes on under one port number."""

    port: Port | None = None
    remove: bool = False
    add: bool = False
    owed: int = 0  # answers to come from ports that are gone


class VconTwin:
    def __init__(self, max_ports: int, *, spec_order: bool = False) -> None:
        self.max_ports, self.spec_order = max_ports, spec_order
        self.numbers = [Number() for _ in range(max_ports)]
        self.ready = False
        self.window = (0, 0)  # columns, rows
        self.cursor = 0

    def reset(self) -> None:
        self.ready, self.cursor = False, 0
        for n, number in enumerate(self.numbers):
            old = number.port
            port = None if old is None else Port(old.console, old.name, old.open)
            self.numbers[n] = Number(port)

    # --- the host

    def add(self, number: int, console: bool, name: str) -> bool:
        if number >= self.max_ports or self.numbers[number].port is not None:
            return False
        at = self.numbers[number]
        at.port, at.add = Port(console, name), self.ready
        return True

    def remove(self, number: int) -> None:
        at = self.numbers[number]
        if at.port is not None and at.port.told:
            at.remove = True
            if not at.port.ready and not at.port.failed:
                at.owed += 1
        at.port, at.add = None, False

    def host(self, number: int, is_open: bool) -> None:
        port = self.numbers[number].port
        assert port is not None
        port.open = is_open
        if not is_open and port.told_open:
            port.hung_up = True

    def resize(self, columns: int, rows: int) -> None:
        self.window = columns, rows
        for number in self.numbers:
            port = number.port
            if port is not None and port.console and port.ready and RESIZE not in port.introduce:
                port.introduce.append(RESIZE)

    # --- the driver

    def receive(self, packet: bytes) -> str:
        """The name of the VCON_ effect."""
        if len(packet) < 8:
            return "IGNORED"
        number, event, value = struct.unpack_from("<IHH", packet)
        if event == DEVICE_READY:
            self.ready = bool(value)
            for at in self.numbers:
                at.add = at.add or (self.ready and at.port is not None)
            return "DEVICE_READY" if value else "DEVICE_FAILED"
        if not self.ready or number >= self.max_ports:
            return "IGNORED"
        at = self.numbers[number]
        if event == READY and at.owed:
            at.owed -= 1
            return "IGNORED"
        if at.port is None or not at.port.told or event not in (READY, OPEN):
            return "IGNORED"
        return self._ready(at.port, value) if event == READY else self._open(at.port, bool(value))

    def _ready(self, port: Port, value: int) -> str:
        port.ready, port.failed = bool(value), not value
        port.told_open = port.hung_up = False
        if not value:
            port.guest_open = False
            return "PORT_FAILED"
        wanted = {CONSOLE: port.console, NAME: bool(port.name)}
        wanted[RESIZE] = port.console and all(self.window)
        for event, due in wanted.items():
            if due and event not in port.introduce:
                port.introduce.append(event)
        return "PORT_READY"

    def _open(self, port: Port, value: bool) -> str:
        if not port.ready:
            return "IGNORED"
        if port.guest_open == value:
            return "NOTHING_NEW"
        port.guest_open = value
        return "GUEST_OPENED" if value else "GUEST_CLOSED"

    # --- to the driver

    def next(self) -> bytes | None:
        if not self.ready:
            return None
        order = [*range(self.cursor, self.max_ports), *range(self.cursor)]
        for number in order:
            message = self._about(number, self.numbers[number])
            if message is not None:
                self.cursor = (number + 1) % 63
                return message
        return None

    def _about(self, number: int, at: Number) -> bytes | None:
        port = at.port
        if at.remove:
            at.remove = False
            return struct.pack("<IHH", number, REMOVE, 1)
        if at.add:
            assert port is not None
            at.add, port.told = False, True
            return struct.pack("<IHH", number, ADD, 1)
        if port is None or not port.ready:
            return None
        for event in (CONSOLE, NAME, RESIZE):
            if event in port.introduce:
                port.introduce.remove(event)
                return struct.pack("<IHH", number, event, 1) + self._body(port, event)
        if port.hung_up or port.told_open != port.open:
            port.hung_up = False
            port.told_open = not port.told_open
            return struct.pack("<IHH", number, OPEN, port.told_open)
        return None

    def _body(self, port: Port, event: int) -> bytes:
        if event == NAME:
            return port.name.encode()
        if event == RESIZE:
            return struct.pack("<HH", *(self.window if self.spec_order else self.window[::-1]))
        return b""
