"""core/devices/uart.c: against its twin on random sequences, and by the data sheet."""

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
from tests.native.uartrig import (
    COM1,
    DTR,
    FIFO_1,
    FIFO_14,
    LOOP,
    OUT1,
    OUT2,
    RDI,
    RTS,
    THRI,
    UartRig,
    random_step,
)
from vmm.loop import IoLoop
from vmm.native import ffi, lib


@pytest.mark.parametrize("seed", range(20))
def test_uart_agrees_with_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    twin = UartTwin()
    with UartRig() as rig:
        for _ in range(3000):
            random_step(rng, rig, twin)
            assert rig.raised == twin.raised
            assert rig.save() == twin.save()
        assert rig.counters()["tx_bytes"] == len(twin.sent)


@pytest.mark.parametrize("seed", range(5))
def test_uart_with_a_full_channel_agrees_with_the_twin(seed: int) -> None:
    rng = random.Random(1000 + seed)
    loop = IoLoop()
    chan = lib.chan_create(loop.pointer, lib.CHAN_LIMIT_MIN, lib.CHAN_BLOCK)
    free = 200
    filler = b"." * (lib.CHAN_LIMIT_MIN - free)
    assert lib.chan_put(chan, filler, len(filler)) == len(filler)
    twin = UartTwin(room=free)
    with UartRig(chan) as rig:
        for _ in range(3000):
            random_step(rng, rig, twin)
            assert rig.raised == twin.raised
            assert rig.save() == twin.save()
        assert twin.room == 0
        buffer = ffi.new("uint8_t[]", free)
        assert lib.chan_tail(chan, buffer, free) == free
        assert bytes(ffi.buffer(buffer)) == bytes(twin.sent)
    lib.chan_destroy(chan)


# --- the data sheet


def test_reset_state_is_idle_and_empty(uart: UartRig) -> None:
    assert [uart.read(n) for n in (IER, IIR_FCR, LCR, MCR, LSR, SCR)] == [0, 1, 0, 0, 0x60, 0]
    assert uart.read(MSR) == 0xB0
    assert not uart.raised


def test_divisor_shares_two_registers_while_dlab_is_set(uart: UartRig) -> None:
    uart.write(IER, 0x0F)
    uart.write(LCR, 0x83)
    uart.write(DATA, 0x34)
    uart.write(IER, 0x12)
    assert (uart.read(DATA), uart.read(IER)) == (0x34, 0x12)
    uart.write(LCR, 0x03)
    assert uart.read(IER) == 0x0F
    assert uart.counters()["tx_bytes"] == 0


def test_only_four_interrupt_enable_bits_exist(uart: UartRig) -> None:
    uart.write(IER, 0xFF)
    assert uart.read(IER) == 0x0F


def test_wide_accesses_reach_each_register_in_turn(uart: UartRig) -> None:
    uart.write(LCR, 0x83)
    uart.probe.write(COM1, 2, 0x0201)
    assert uart.probe.read(COM1, 2) == 0x0201
    assert uart.probe.read(COM1 + LCR, 4) == 0xB0_60_00_83


@pytest.mark.parametrize(("control", "trigger"), [(0x01, 1), (0x41, 4), (0x81, 8), (0xC1, 14)])
def test_data_interrupt_waits_for_the_trigger_level(control: int, trigger: int) -> None:
    with UartRig() as uart:
        uart.write(IIR_FCR, control)
        uart.write(IER, RDI)
        for n in range(1, trigger):
            uart.receive(b"x")
            assert uart.read(IIR_FCR) == 0xC1, f"at {n} bytes"
        uart.receive(b"x")
        assert uart.read(IIR_FCR) == 0xC4
        uart.read(DATA)
        assert uart.read(IIR_FCR) == 0xC1


def test_character_timeout_comes_after_four_characters_of_silence(uart: UartRig) -> None:
    uart.write(IIR_FCR, FIFO_14)
    uart.write(IER, RDI)
    uart.receive(b"ab")
    uart.step(TIMEOUT_NS - 1)
    assert uart.read(IIR_FCR) == 0xC1
    uart.step(1)
    assert uart.read(IIR_FCR) == 0xCC
    assert uart.read(IIR_FCR) == 0xCC, "reading IIR does not clear it"
    assert uart.read(DATA) == ord("a")
    assert uart.read(IIR_FCR) == 0xC1, "reading a byte does"


def test_character_timeout_starts_anew_with_every_byte(uart: UartRig) -> None:
    uart.write(IIR_FCR, FIFO_14)
    uart.write(IER, RDI)
    for _ in range(5):
        uart.receive(b"x")
        uart.step(TIMEOUT_NS - 1)
        assert uart.read(IIR_FCR) == 0xC1
    uart.step(1)
    assert uart.read(IIR_FCR) == 0xCC


def test_without_fifo_there_is_no_character_timeout(uart: UartRig) -> None:
    uart.receive(b"x")
    uart.step(10 * TIMEOUT_NS)
    assert uart.save()["timed_out"] == 0


def test_transmitter_interrupt_comes_when_enabled_and_goes_when_identified(uart: UartRig) -> None:
    uart.write(MCR, OUT2)
    uart.write(IER, THRI)
    assert uart.raised
    assert uart.read(IIR_FCR) == 0x02
    assert not uart.raised
    assert uart.read(IIR_FCR) == 0x01
    uart.write(DATA, 0x41)
    assert uart.raised, "the byte has left already"
    assert uart.read(IIR_FCR) == 0x02


def test_transmitter_interrupt_stays_while_another_is_identified(uart: UartRig) -> None:
    uart.write(IER, THRI | RDI)
    uart.receive(b"x")
    assert uart.read(IIR_FCR) == 0x04
    uart.read(DATA)
    assert uart.read(IIR_FCR) == 0x02


def test_interrupts_are_identified_in_order_of_priority(uart: UartRig) -> None:
    uart.write(IIR_FCR, FIFO_1)
    uart.write(IER, 0x0F)
    uart.write(MCR, LOOP | RTS)  # a change of CTS among others
    uart.write(MCR, 0)
    uart.send_break()
    assert uart.read(IIR_FCR) == 0xC6
    uart.read(LSR)
    assert uart.read(IIR_FCR) == 0xC4
    uart.read(DATA)
    assert uart.read(IIR_FCR) == 0xC2
    assert uart.read(IIR_FCR) == 0xC0
    uart.read(MSR)
    assert uart.read(IIR_FCR) == 0xC1


def test_break_is_reported_with_its_byte_and_cleared_by_the_status(uart: UartRig) -> None:
    uart.write(IIR_FCR, FIFO_14)
    uart.receive(b"a")
    uart.send_break()
    assert uart.read(LSR) == 0x80 | 0x60 | 0x01, "somewhere in the FIFO"
    assert uart.read(DATA) == ord("a")
    assert uart.read(LSR) == 0x80 | 0x60 | 0x10 | 0x01, "on top"
    assert uart.read(LSR) == 0x60 | 0x01
    assert uart.read(DATA) == 0


def test_input_beyond_the_fifo_is_left_to_the_channel(uart: UartRig) -> None:
    assert uart.receive(b"0123456789") == 1
    uart.write(IIR_FCR, FIFO_14)
    assert uart.receive(bytes(range(20))) == 16
    assert uart.receive(b"x") == 0
    assert [uart.read(DATA) for _ in range(16)] == list(range(16))
    assert not uart.read(LSR) & 0x02


def test_loopback_overruns_keep_the_fifo_and_replace_the_register(uart: UartRig) -> None:
    uart.write(MCR, LOOP)
    uart.write(DATA, 1)
    uart.write(DATA, 2)
    assert uart.read(LSR) == 0x60 | 0x02 | 0x01
    assert uart.read(LSR) == 0x60 | 0x01, "reading cleared the overrun"
    assert uart.read(DATA) == 2
    uart.write(IIR_FCR, FIFO_14)
    for n in range(17):
        uart.write(DATA, n)
    assert uart.read(LSR) & 0x02
    assert [uart.read(DATA) for _ in range(16)] == list(range(16))
    assert uart.counters()["overruns"] == 2


@pytest.mark.parametrize(
    ("outputs", "inputs"), [(RTS, 0x10), (DTR, 0x20), (OUT1, 0x40), (OUT2, 0x80), (0x0F, 0xF0)]
)
def test_loopback_connects_modem_outputs_to_inputs(outputs: int, inputs: int) -> None:
    with UartRig() as uart:
        uart.write(MCR, LOOP | outputs)
        assert uart.read(MSR) & 0xF0 == inputs


def test_ring_indicator_tells_only_its_end(uart: UartRig) -> None:
    uart.write(MCR, LOOP | OUT1 | OUT2 | DTR | RTS)
    uart.read(MSR)
    uart.write(MCR, LOOP | OUT2 | DTR | RTS)
    assert uart.read(MSR) == 0xB4
    uart.write(MCR, LOOP | OUT1 | OUT2 | DTR | RTS)
    assert uart.read(MSR) == 0xF0


def test_interrupt_line_needs_out2_and_no_loopback(uart: UartRig) -> None:
    uart.write(IER, THRI)
    assert not uart.raised
    uart.write(MCR, OUT2)
    assert uart.raised
    uart.write(MCR, OUT2 | LOOP)
    assert not uart.raised


def test_fifo_control_bits_count_only_with_the_first(uart: UartRig) -> None:
    uart.write(IIR_FCR, FIFO_14)
    uart.receive(b"abc")
    uart.write(IIR_FCR, FIFO_14 | 2)
    assert uart.read(LSR) == 0x60
    uart.receive(b"abc")
    uart.write(IIR_FCR, 0xC0)
    assert uart.read(IIR_FCR) == 0x01, "FIFO off"
    assert uart.read(LSR) == 0x60, "switching clears it"
