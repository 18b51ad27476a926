"""core/uart.c: against its twin on random sequences, by the data sheet, and as Linux drives it."""

from __future__ import annotations

import random
from collections.abc import Iterator

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
from tests.native.uartrig import COM1, UartRig
from vmm.errors import StateError
from vmm.loop import IoLoop
from vmm.native import ffi, lib

FIFO_14, FIFO_1 = 0xC1, 0x01  # FCR: on, trigger at 14 bytes or at 1
RDI, THRI, RLSI, MSI = 1, 2, 4, 8  # IER
DTR, RTS, OUT1, OUT2, LOOP = 1, 2, 4, 8, 16  # MCR


@pytest.fixture
def uart() -> Iterator[UartRig]:
    with UartRig() as rig:
        yield rig


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
