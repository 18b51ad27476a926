"""core/irq/intx.c with the split irqchip: eventfds that make a pin high until the guest's EOI."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Iterator

import pytest

from tests.descriptors import await_no_more, descriptors
from tests.native.ioapicrig import LEVEL, MASKED, IoApicRig
from vmm.errors import VmmError
from vmm.native import lib
from vmm.pci.intx import Intx

PIN, VECTOR = 17, 0x51
PIC_SLAVE, PIC_ELCR = 0xA0, 0x4D1
EOI = 0x20


class Rig(IoApicRig):
    """The chip with a loop that runs."""

    def __enter__(self) -> Rig:
        self.sources: list[Intx] = []
        self.loop.start()
        return self

    def _close_devices(self) -> None:
        for source in self.sources:
            source.close()
        super()._close_devices()

    def source(self, gsi: int, pic: int | None = None) -> Intx:
        source = Intx(self.hub, self.loop, gsi, pic)
        self.sources.append(source)
        return source

    def trigger(self, source: Intx) -> None:
        """Triggers, and waits until the loop has served it."""
        os.eventfd_write(source.trigger, 1)
        while select.select([source.trigger], [], [], 0)[0]:  # taken by the handler, which may
            time.sleep(0)  # ... still run: what follows on the same thread comes after it
        served = threading.Event()
        self.loop.call(served.set)
        assert served.wait(10)


@pytest.fixture
def chip() -> Iterator[Rig]:
    with Rig() as rig:
        yield rig


def high(chip: Rig) -> bool:
    """An edge-triggered pin that was high takes no new edge from its line."""
    chip.entry(PIN, VECTOR)
    before = len(chip.sent)
    chip.set_line(PIN, 1)
    chip.set_line(PIN, 0)
    chip.entry(PIN, MASKED)
    return len(chip.sent) == before


def resampled(source: Intx) -> int:
    try:
        return os.eventfd_read(source.resample)
    except BlockingIOError:
        return 0


def test_trigger_makes_the_pin_high_until_the_eoi(chip: Rig) -> None:
    source = chip.source(PIN)
    chip.entry(PIN, VECTOR | LEVEL)

    chip.trigger(source)
    chip.trigger(source)
    assert len(chip.sent) == 1
    assert resampled(source) == 0
    chip.end(VECTOR)

    assert len(chip.sent) == 1
    assert resampled(source) == 1


def test_source_that_wants_more_triggers_again_and_is_served_again(chip: Rig) -> None:
    source = chip.source(PIN)
    chip.entry(PIN, VECTOR | LEVEL)

    for _ in range(100):
        chip.trigger(source)
        chip.end(VECTOR)
        assert resampled(source) == 1

    assert len(chip.sent) == 100


def test_source_is_asked_again_when_its_pin_is_unmasked(chip: Rig) -> None:
    source = chip.source(PIN)
    chip.entry(PIN, VECTOR | LEVEL | MASKED)

    chip.trigger(source)
    assert resampled(source) == 0
    chip.put(0x10 + 2 * PIN, VECTOR | LEVEL)
    assert (chip.sent, resampled(source)) == ([], 1)
    chip.trigger(source)

    assert len(chip.sent) == 1


def test_all_sources_of_a_pin_are_told_of_its_eoi(chip: Rig) -> None:
    first, second, other = chip.source(PIN), chip.source(PIN), chip.source(PIN + 1)
    chip.entry(PIN, VECTOR | LEVEL)

    chip.trigger(first)
    chip.end(VECTOR)

    assert [resampled(source) for source in (first, second, other)] == [1, 1, 0]


def test_line_of_another_device_keeps_the_pin_high(chip: Rig) -> None:
    source = chip.source(PIN)
    chip.entry(PIN, VECTOR | LEVEL)
    chip.set_line(PIN, 1)

    chip.trigger(source)
    chip.end(VECTOR)

    assert len(chip.sent) == 2


@pytest.mark.parametrize("wire", [False, True])
def test_pic_lets_go_at_its_own_eoi(chip: Rig, wire: bool) -> None:
    assert chip.pic is not None
    chip.pic.claim(chip.pio, chip.mmio)
    pio = chip._probes["pio"]
    for port, words in ((0x20, (0x11, 0x20, 4, 1, 0)), (PIC_SLAVE, (0x11, 0x28, 2, 1, 0))):
        for index, word in enumerate(words):
            pio.write(port + (index > 0), 1, word)
    pio.write(PIC_ELCR, 1, 1 << 3)
    source = chip.source(PIN, 11) if wire else chip.source(11)

    chip.trigger(source)
    assert lib.pic_ack(chip.pic.pointer) == 0x2B
    assert resampled(source) == 0
    pio.write(PIC_SLAVE, 1, EOI)
    pio.write(0x20, 1, EOI)

    assert resampled(source) == 1
    assert not lib.pic_output(chip.pic.pointer)
    chip.trigger(source)
    assert lib.pic_output(chip.pic.pointer)
    source.close()
    assert not lib.pic_output(chip.pic.pointer)


def test_closing_lowers_the_pin_unless_another_source_shares_it(chip: Rig) -> None:
    first, second = chip.source(PIN), chip.source(PIN)
    chip.trigger(first)

    first.close()
    assert high(chip)
    chip.trigger(second)
    second.close()
    assert not high(chip)


def test_source_made_before_the_chip_is_connected_when_it_comes(chip: Rig) -> None:
    lib.split_sink_detach(chip.device._sink, chip.hub)
    source = chip.source(PIN)
    source.check()  # nobody has refused it

    lib.split_sink_attach(chip.device._sink, chip.hub)
    source.check()
    chip.entry(PIN, VECTOR | LEVEL)
    chip.trigger(source)

    assert len(chip.sent) == 1


def test_cascade_cannot_be_driven(chip: Rig) -> None:
    with pytest.raises(VmmError, match="GSI 2 failed: Invalid argument"):
        chip.source(2).check()


def test_closing_gives_its_descriptors_back(chip: Rig) -> None:
    before = descriptors()

    Intx(chip.hub, chip.loop, PIN).close()

    await_no_more(before)
