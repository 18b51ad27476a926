"""A UART on a bus with a clock that only the test moves, driven as a vCPU would drive it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.native.twins.uart import (
    DATA,
    IER,
    IIR_FCR,
    LCR,
    LSR,
    MCR,
    MSR,
    SCR,
    TIMEOUT_NS,
    UartTwin,
)
from vmm.bus import PIO_LIMIT, Bus, BusProbe
from vmm.cdevice import CDevice
from vmm.native import ffi, lib, made

FIFO_14, FIFO_1 = 0xC1, 0x01  # FCR: on, trigger at 14 bytes or at 1
RDI, THRI, RLSI, MSI = 1, 2, 4, 8  # IER
DTR, RTS, OUT1, OUT2, LOOP = 1, 2, 4, 8, 16  # MCR
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


def random_step(rng: random.Random, rig: UartRig, twin: UartTwin) -> None:
    """One action on both, its answers compared."""
    action = rng.random()
    if action < 0.45:
        offset = rng.randrange(8)
        assert rig.read(offset) == twin.read(offset), f"register {offset}"
    elif action < 0.5:
        offset = rng.choice((DATA, DATA, DATA, rng.randrange(8)))
        data = rng.randbytes(rng.randrange(40))
        rig.write_burst(offset, data)
        for value in data:
            twin.write(offset, value)
    elif action < 0.85:
        offset = rng.choice((DATA, DATA, DATA, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR))
        value = rng.choice((rng.randrange(256), 0, 0x03, FIFO_14, OUT2, 0x0F))
        rig.write(offset, value)
        twin.write(offset, value)
    elif action < 0.95:
        data = rng.randbytes(rng.randrange(1, 20))
        assert rig.receive(data) == twin.receive(data)
    elif action < 0.96:
        rig.send_break()
        twin.send_break()
    else:
        ns = rng.randrange(TIMEOUT_NS)
        rig.step(ns)
        twin.step(ns)


@pytest.fixture
def uart() -> Iterator[UartRig]:
    with UartRig() as rig:
        yield rig
