"""A UART on a bus with a clock that only the test moves, driven as a vCPU would drive it."""

from __future__ import annotations

from typing import Any

from vmm.bus import PIO_LIMIT, Bus, BusProbe
from vmm.cdevice import CDevice
from vmm.native import ffi, lib, made

COM1 = 0x3F8


class UartRig(CDevice):
    """`chan` is a `struct chan *`; without one everything sent vanishes."""

    kind = "uart"

    def __init__(self, chan: Any = ffi.NULL) -> None:
        self.clock = made(lib.vclock_create(True), lib.vclock_destroy, "a clock")
        setup = ffi.new("struct uart_setup *", {"clock": self.clock, "chan": chan, "port": COM1})
        super().__init__("com1", lib.uart_create(setup), [("pio", COM1, 8, 0)])
        self.bus = Bus("port", PIO_LIMIT)
        self.claim(self.bus, self.bus)
        self.probe = BusProbe(self.bus)

    def __enter__(self) -> UartRig:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.probe.close()
        self.close()

    def read(self, offset: int) -> int:
        return self.probe.read(COM1 + offset, 1)

    def write(self, offset: int, value: int) -> None:
        assert self.probe.write(COM1 + offset, 1, value) == 0

    def write_burst(self, offset: int, data: bytes) -> None:
        self.probe.write_burst(COM1 + offset, data)

    def receive(self, data: bytes) -> int:
        return int(lib.uart_receive(self.pointer, data, len(data)))

    def send_break(self) -> None:
        lib.uart_send_break(self.pointer)

    def step(self, ns: int) -> None:
        lib.vclock_step(self.clock, ns)

    @property
    def raised(self) -> bool:
        return bool(self.pointer.raised)

    def counters(self) -> dict[str, int]:
        counters = ffi.new("struct uart_counters *")
        lib.uart_counters(self.pointer, counters)
        return {name: getattr(counters, name) for name in dir(counters)}
