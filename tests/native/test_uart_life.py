"""core/devices/uart.c: as Linux drives it, and saved."""

from __future__ import annotations

import random

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
from tests.native.uartrig import FIFO_14, LOOP, OUT2, RDI, RTS, THRI, UartRig, random_step
from vmm.errors import StateError

# --- as Linux drives it


def test_linux_autoconfig_finds_a_16550a(uart: UartRig) -> None:
    uart.write(IER, 0)
    assert uart.read(IER) & 0x0F == 0
    uart.write(IER, 0x0F)
    assert uart.read(IER) & 0x0F == 0x0F
    uart.write(IER, 0)
    uart.write(MCR, LOOP | OUT2 | RTS)
    assert uart.read(MSR) & 0xF0 == 0x90
    uart.write(MCR, 0)
    uart.write(LCR, 0xBF)
    uart.write(IIR_FCR, 0)
    uart.write(LCR, 0)
    uart.write(IIR_FCR, 0x01)
    assert uart.read(IIR_FCR) >> 6 == 3
    uart.write(LCR, 0xBF)
    assert uart.read(IIR_FCR) != 0, "no extended feature register behind LCR 0xbf"


def test_linux_transmitter_probe_finds_no_bug(uart: UartRig) -> None:
    uart.write(IER, THRI)
    first = uart.read(IIR_FCR)
    uart.write(IER, 0)
    uart.write(IER, THRI)
    second = uart.read(IIR_FCR)
    assert not (first | second) & 1


@pytest.mark.parametrize("queued", [False, True])
def test_burst_of_sixteen_bytes_raises_one_interrupt(uart: UartRig, queued: bool) -> None:
    uart.write(IIR_FCR, 0x81)
    uart.write(MCR, OUT2)
    uart.write(IER, THRI)
    assert uart.read(IIR_FCR) == 0xC2
    before = uart.counters()["interrupts"]
    if queued:
        uart.write_burst(DATA, bytes(16))
    else:
        for n in range(16):
            uart.write(DATA, n)
    assert uart.read(IIR_FCR) == 0xC2
    assert uart.read(LSR) == 0x60
    assert uart.read(IIR_FCR) == 0xC1
    assert uart.counters()["interrupts"] == before + 1


def test_early_printk_polls_an_empty_transmitter(uart: UartRig) -> None:
    for byte in b"early":
        assert uart.read(LSR) & 0x60 == 0x60
        uart.write(DATA, byte)
    assert uart.counters()["tx_bytes"] == 5


# --- saved state


def test_saved_state_carries_an_armed_timeout_over(uart: UartRig) -> None:
    uart.write(IIR_FCR, FIFO_14)
    uart.write(IER, RDI)
    uart.write(MCR, OUT2)
    uart.receive(b"abc")
    uart.step(TIMEOUT_NS - 1)
    saved = uart.save()
    with UartRig() as other:
        other.step(TIMEOUT_NS - 1)
        other.load(saved)
        assert not other.raised
        other.step(1)
        assert other.raised
        assert [other.read(DATA) for _ in range(3)] == list(b"abc")


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"rx_count": 17},
        {"rx_count": 2},  # without FIFO
        {"tx_count": 17},
        {"ier": 0x10},
        {"mcr": 0x20},
        {"fcr": 0x02},
        {"fcr": 0xC0},
        {"msr_delta": 0x10},
        {"overrun": 2},
        {"timed_out": 1},
        {"deadline": -2},
        {"deadline": 5},  # with an empty receiver
        {"rx": [0] * 15 + [1]},
        {"rx_flags": [0x02] + [0] * 15, "rx_count": 1},
    ],
)
def test_impossible_states_are_refused_and_change_nothing(change: dict[str, object]) -> None:
    with UartRig() as uart:
        uart.write(SCR, 0x5A)
        before = uart.save()
        with pytest.raises(StateError):
            uart.load({**before, "scr": 1, **change})
        assert uart.save() == before


def test_reset_is_the_fresh_state(uart: UartRig) -> None:
    fresh = uart.save()
    rng = random.Random(1)
    twin = UartTwin()
    for _ in range(500):
        random_step(rng, uart, twin)
    uart.reset()
    assert uart.save() == fresh
    assert not uart.raised
