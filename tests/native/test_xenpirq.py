"""Interrupts as event channels: messages in core/irq/router.c, pins in core/xen/xenpirq.c."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator

import pytest

from tests.native.ioapicrig import LEVEL, IoApicRig
from vmm.errors import KvmError
from vmm.irq import IrqRouter
from vmm.native import ffi, lib, made
from vmm.pci.intx import Intx

PIN, VECTOR = 17, 0x51
PIRQ = 0xA5
NAMES, MODE = 0xFEE00000 | PIRQ << 12, 0x700  # as Linux names it: delivery mode ExtINT, vector 0

# --- messages -------------------------------------------------------------------------------------


@pytest.fixture
def router() -> IrqRouter:
    router = IrqRouter(None, split=True)
    router.use_pirqs()
    return router


def event(gsi: int, port: int, vcpu: int) -> tuple[int, int, int, int]:
    return gsi, lib.KVM_IRQ_ROUTING_XEN_EVTCHN, port, vcpu


def test_message_follows_what_its_pirq_is_bound_to(router: IrqRouter) -> None:
    first, second, other = (router.alloc_gsi() for _ in range(3))
    router.set_msi(first, NAMES, MODE)
    router.set_msi(other, NAMES, VECTOR)
    message = (other, lib.KVM_IRQ_ROUTING_MSI, NAMES, VECTOR)
    assert router.entries() == [message]

    router.set_pirq(PIRQ, 9, 1)
    assert router.entries() == [message, event(first, 9, 1)]
    router.set_msi(second, NAMES, MODE)
    router.set_pirq(PIRQ, 9, 0)
    assert sorted(router.entries()) == sorted([message, event(first, 9, 0), event(second, 9, 0)])
    router.set_msi(first, NAMES, VECTOR)
    router.set_pirq(PIRQ, 0, 0)
    assert router.entries() == [message, (first, *message[1:])]
    router.free_gsi(second)
    router.set_pirq(PIRQ, 9, 0)
    assert router.entries() == [message, (first, *message[1:])]


def test_numbers_above_255_are_in_the_upper_half(router: IrqRouter) -> None:
    gsi = router.alloc_gsi()
    router.set_pirq(PIRQ, 9, 1)
    for high in (0x100, 0xFFFFFF00):
        router.set_msi(gsi, NAMES | high << 32, MODE)  # there are no such PIRQs
        assert router.entries() == [(gsi, lib.KVM_IRQ_ROUTING_MSI, NAMES | high << 32, MODE)]
    router.set_msi(gsi, 0xFEE00000, MODE)  # 0 is none
    assert router.entries() == [(gsi, lib.KVM_IRQ_ROUTING_MSI, 0xFEE00000, MODE)]
    for pirq in (0, lib.ROUTER_PIRQS):
        with pytest.raises(KvmError):
            router.set_pirq(pirq, 9, 1)


def test_without_pirqs_a_message_is_a_message() -> None:
    router = IrqRouter(None, split=True)
    gsi = router.alloc_gsi()

    router.set_msi(gsi, NAMES, MODE)

    assert router.entries() == [(gsi, lib.KVM_IRQ_ROUTING_MSI, NAMES, MODE)]


# --- pins -----------------------------------------------------------------------------------------


class Rig(IoApicRig):
    """The chip behind the domain's pins."""

    def __enter__(self) -> Rig:
        self.line = ffi.new("struct irq_line *")
        lib.irq_line_init(self.line, self.hub, PIN)
        self.sources: list[Intx] = []
        pointer = lib.xenpirq_create(self.hub, -1)
        self.pins = made(pointer, lib.xenpirq_destroy, "pins", self.hub)
        self.entry(PIN, VECTOR | LEVEL)
        self.loop.start()
        return self

    def _close_devices(self) -> None:
        for source in self.sources:
            source.close()
        ffi.release(self.pins)  # again, in one test
        super()._close_devices()

    def bind(self, port: int, gsi: int = PIN) -> None:
        assert lib.xenpirq_bind(self.pins, gsi, port, 0) == 0

    def drive(self, level: int) -> None:
        lib.irq_line_set(self.line, level)

    @property
    def events(self) -> int:
        return int(self.pins.events)

    def await_events(self, count: int) -> None:
        give_up = time.monotonic() + 10
        while self.events < count:
            assert time.monotonic() < give_up
            time.sleep(0.001)
        assert self.events == count


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig() as rig:
        yield rig


def resampled(source: Intx) -> bool:
    if not select.select([source.resample], [], [], 0)[0]:
        return False
    os.eventfd_read(source.resample)
    return True


def test_pin_that_nobody_bound_is_the_chips(rig: Rig) -> None:
    rig.drive(1)
    rig.drive(0)

    assert (len(rig.sent), rig.events) == (1, 0)
    lib.xenpirq_eoi(rig.pins, PIN)
    assert rig.events == 0


def test_rising_line_is_an_event_and_again_when_served_too_early(rig: Rig) -> None:
    rig.bind(9)
    rig.drive(1)
    assert rig.events == 1
    lib.xenpirq_eoi(rig.pins, PIN)
    assert rig.events == 2
    rig.drive(0)
    lib.xenpirq_eoi(rig.pins, PIN)
    rig.drive(1)
    rig.drive(0)

    assert rig.events == 3
    assert rig.sent == []


def test_line_that_is_up_goes_with_its_pin(rig: Rig) -> None:
    rig.drive(1)
    rig.bind(9)
    assert (len(rig.sent), rig.events) == (1, 1)
    rig.end(VECTOR)  # the chip has seen it fall
    assert len(rig.sent) == 1
    rig.bind(10)
    assert rig.events == 1

    rig.bind(0)

    assert (len(rig.sent), rig.events) == (2, 1)
    rig.drive(0)
    rig.end(VECTOR)
    assert len(rig.sent) == 2


def test_source_behind_an_eventfd_is_served_by_whoever_has_the_pin(rig: Rig) -> None:
    source = Intx(rig.hub, rig.loop, PIN)
    rig.sources.append(source)
    rig.bind(9)
    assert resampled(source)  # it looks whether it wants service
    os.eventfd_write(source.trigger, 1)
    rig.await_events(1)
    assert not resampled(source)
    lib.xenpirq_eoi(rig.pins, PIN)
    assert resampled(source)
    assert rig.sent == []

    rig.bind(0)
    assert resampled(source)
    os.eventfd_write(source.trigger, 1)
    give_up = time.monotonic() + 10
    while not rig.sent:
        assert time.monotonic() < give_up
    assert rig.events == 1
    rig.end(VECTOR)
    assert resampled(source)


@pytest.mark.parametrize("gsi", [lib.IRQ_HUB_GSIS, (1 << 32) - 1])
def test_pins_that_are_none(rig: Rig, gsi: int) -> None:
    assert lib.xenpirq_bind(rig.pins, gsi, 9, 0) == -22
    lib.xenpirq_eoi(rig.pins, gsi)
    assert rig.events == 0


def test_chip_may_go_first() -> None:
    with Rig() as rig:
        rig.bind(9)
        rig.device.close()
        rig.drive(1)
        assert rig.events == 0  # nobody is there to be told
        ffi.release(rig.pins)
        rig.drive(0)
