"""A domain's callback by a pin of the split irqchip: up until EOI, again while events wait."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.descriptors import descriptors
from tests.native.ioapicrig import LEVEL, IoApicRig
from vmm.memory import GuestMemory
from vmm.native import ffi, lib, made
from vmm.record import replace
from vmm.xen import abi
from vmm.xen.abi import XenError
from vmm.xen.pinevents import PinEvents

MIB = 1 << 20
PIN, VECTOR = 18, 0x51
PAGE, INFO = 0x5000, 0x6000


class Rig(IoApicRig):
    """The chip, and the events of one vCPU that never runs."""

    def __enter__(self) -> Rig:
        buses = self.pio.pointer, self.mmio.pointer
        core = made(lib.vmcore_create(-1, *buses), lib.vmcore_destroy, "core", *buses)
        self.memory = GuestMemory(MIB)
        self.ram = self.memory.accessor("test")
        context = replace(self.context, memory=self.memory, core=core)
        self.events = PinEvents(context, [ffi.new("struct vcpu *")])
        self.events.set_wide(True)
        self.events.set_page(PAGE)
        self.loop.start()
        return self

    def _close_devices(self) -> None:
        self.events.close()
        super()._close_devices()
        self.memory.close()

    def pend(self, byte: int) -> None:
        self.ram.write(INFO, bytes([byte]) + bytes(15))

    def await_sent(self, count: int) -> None:
        give_up = time.monotonic() + 10
        while len(self.sent) < count:
            assert time.monotonic() < give_up, self.sent
            time.sleep(0.001)
        assert len(self.sent) == count


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig() as rig:
        yield rig


def test_pin_is_up_until_eoi_and_again_while_events_wait(rig: Rig) -> None:
    rig.entry(PIN, VECTOR | LEVEL)
    rig.events.set_info(0, INFO)
    rig.events.set_line(PIN)
    assert rig.sent == []

    assert rig.events.send(7, 0)
    rig.await_sent(1)
    rig.end(VECTOR)  # without having looked
    rig.await_sent(2)
    rig.pend(0)
    rig.end(VECTOR)
    assert rig.events.send(9, 0)
    rig.await_sent(3)
    assert rig.events.counters() == {"asserted": 3}


def test_what_was_noted_before_is_told_when_the_place_is_known(rig: Rig) -> None:
    rig.entry(PIN, VECTOR | LEVEL)
    rig.pend(1)
    rig.events.set_line(PIN)
    assert rig.sent == []

    rig.events.set_info(0, INFO)

    rig.await_sent(1)


def test_another_pin_takes_over_and_none_is_silent(rig: Rig) -> None:
    rig.entry(PIN, VECTOR | LEVEL)
    rig.entry(PIN + 1, VECTOR + 1 | LEVEL)
    rig.events.set_info(0, INFO)
    rig.events.set_line(PIN)
    rig.events.set_line(PIN + 1)
    rig.events.send(7, 0)
    rig.await_sent(1)
    assert rig.sent[0][1] & 0xFF == VECTOR + 1

    rig.events.quiet()
    rig.pend(0)
    rig.end(VECTOR + 1)
    assert not rig.events.send(8, 0)
    assert len(rig.sent) == 1


@pytest.mark.parametrize("gsi", [2, 24, lib.IRQ_HUB_GSIS, 1 << 40])
def test_what_is_no_pin_is_refused_and_the_old_one_stays(rig: Rig, gsi: int) -> None:
    rig.entry(PIN, VECTOR | LEVEL)
    rig.events.set_info(0, INFO)
    rig.events.set_line(PIN)
    before = descriptors()

    with pytest.raises(XenError, match=f"^{abi.EINVAL}$"):
        rig.events.set_line(gsi)

    assert descriptors() == before
    rig.events.send(7, 0)
    rig.await_sent(1)
