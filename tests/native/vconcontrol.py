"""core/virtio/vcon_control.c with its messages as tuples."""

from __future__ import annotations

import struct

from tests.native.twins.vcon import (
    DEVICE_READY,
    READY,
)
from vmm.native import ffi, lib

EFFECTS = {
    getattr(lib, f"VCON_{name}"): name
    for name in (
        *("IGNORED", "DEVICE_READY", "DEVICE_FAILED", "PORT_READY", "PORT_FAILED"),
        *("GUEST_OPENED", "GUEST_CLOSED", "NOTHING_NEW"),
    )
}
Message = tuple[int, int, int, bytes]


class Control:
    """The C state machine, with messages as tuples: number, event, value, body."""

    def __init__(self, max_ports: int = 8, *, spec_order: bool = False) -> None:
        self.c = ffi.new("struct vcon_control *")
        lib.vcon_control_init(self.c, max_ports, spec_order)
        self.number = ffi.new("uint32_t *")
        self.buffer = ffi.new("uint8_t[]", lib.VCON_MESSAGE_MAX)

    def add(self, number: int, name: str = "", *, console: bool = False, host: bool = True) -> None:
        assert lib.vcon_control_add(self.c, number, console, name.encode()) == 0
        lib.vcon_control_host(self.c, number, host)

    def remove(self, number: int) -> None:
        lib.vcon_control_remove(self.c, number)

    def receive(self, packet: bytes) -> str:
        effect = lib.vcon_control_receive(self.c, packet, len(packet), self.number)
        return EFFECTS[effect]

    def say(self, number: int, event: int, value: int = 1) -> str:
        return self.receive(struct.pack("<IHH", number, event, value))

    def next(self) -> bytes | None:
        length = lib.vcon_control_next(self.c, self.buffer)
        return bytes(ffi.buffer(self.buffer, length)) if length else None

    def all(self) -> list[Message]:
        """Every message there is."""
        found: list[Message] = []
        while (message := self.next()) is not None:
            found.append((*struct.unpack_from("<IHH", message), message[8:]))
        return found

    def bring_up(self, *numbers: int) -> None:
        """The handshake until the driver has these ports."""
        self.say(0xFFFFFFFF, DEVICE_READY)
        self.all()
        for number in numbers:
            assert self.say(number, READY) == "PORT_READY"
        self.all()
