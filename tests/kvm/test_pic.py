"""The split irqchip's 8259 pair on a real vCPU: its interrupts in a saved state and at a reset."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from vmm.config import VmConfig
from vmm.machine import Machine
from vmm.native import ffi, lib

pytestmark = pytest.mark.needs("kvm")

IRQ, VECTOR = 3, 0x23
HANDLER, HANDLER_END = 0x7D00, 0x7D05  # up to the end of interrupt
GHOST, GHOSTS = 0x7D10, 0x600
# xor ax, ax; mov ds, ax; GHOST becomes vector 0x23's handler; sti; mov cx, 2000; loop $; cli, for
# nobody has opened the PIC yet. Then HANDLER becomes it.
SETUP = bytes.fromhex("31c0 8ed8 c7068c00 107d c7068e00 0000 fb b9d007 e2fe fa c7068c00 007d")
# ICW1 to ICW4, then all masked but IRQ 3; sti
PIC = bytes.fromhex("b011e620 b020e621 b004e621 b001e621 b0f7e621 fb")
SPIN, HALT = bytes.fromhex("ebfe"), bytes.fromhex("f4ebfd")
# push ax; mov al, 0x20; out 0x20, al; pop ax; iret
HANDLE = bytes.fromhex("50 b020 e620 58 cf").ljust(GHOST - HANDLER, b"\x90")
# inc byte [GHOSTS]; iret
COUNT_GHOST = bytes.fromhex("fe060006 cf")
PAUSES, RESETS = 1500, 400


@contextmanager
def machine(body: bytes, folder: Path) -> Iterator[Machine]:
    """A running machine whose guest takes IRQ 3 again and again, and otherwise does `body`."""
    code = (SETUP + PIC + body).ljust(HANDLER - 0x7C00, b"\x90") + HANDLE + COUNT_GHOST
    image = folder / "image"
    image.write_bytes(code.ljust(510, b"\x90") + b"\x55\xaa")
    config = VmConfig.of(
        kernel=str(image), mem=16 << 20, irqchip="split", consoles=["null"], reboot="reset"
    )
    with Machine(config) as made:
        made.start()
        yield made
        made.stop()
        made.wait(20)


class Pulses:
    """A thread that raises IRQ 3 and lowers it without a pause."""

    def __init__(self, hub: Any) -> None:
        self._line = ffi.new("struct irq_line *")
        lib.irq_line_init(self._line, hub, IRQ)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._pulse)
        self._thread.start()

    def _pulse(self) -> None:
        while not self._stop.is_set():
            lib.irq_line_set(self._line, 1)
            lib.irq_line_set(self._line, 0)
            time.sleep(0)

    def end(self) -> None:
        self._stop.set()
        self._thread.join()


def interrupt_is_somewhere(saved: dict[str, Any]) -> bool:
    """An interrupt in service is one that the guest handles or that its vCPU is about to take."""
    (vcpu,) = saved["vcpus"]
    if not saved["devices"]["pic"]["isr"][0] & 1 << IRQ:
        return True
    waiting = vcpu["events"]["interrupt"]
    handled = HANDLER <= vcpu["regs"]["rip"] < HANDLER_END
    return bool(handled or (waiting["injected"] and waiting["nr"] == VECTOR))


@pytest.mark.parametrize("body", [SPIN, HALT], ids=["spinning", "halting"])
def test_an_acknowledged_interrupt_is_in_the_saved_state(body: bytes, tmp_path: Path) -> None:
    with machine(body, tmp_path) as running:
        pulses = Pulses(running.hardware.hub)
        pauses = lost = 0
        while pauses < PAUSES or running.stats()["vcpus"][0]["injected"] < PAUSES:
            running.pause()
            lost += not interrupt_is_somewhere(running.save())
            running.resume()
            pauses += 1
        pulses.end()

    assert lost == 0


def test_no_interrupt_of_the_life_before_survives_a_reset(tmp_path: Path) -> None:
    with machine(SPIN, tmp_path) as running:
        pulses = Pulses(running.hardware.hub)
        for life in range(RESETS):
            wanted = running.stats()["vcpus"][0]["injected"] + 1 + life % 3
            while running.stats()["vcpus"][0]["injected"] < wanted:
                time.sleep(0)
            running.reset()
        pulses.end()
        ghosts = running.hardware.memory.read(GHOSTS, 1)

    assert ghosts == b"\0"
