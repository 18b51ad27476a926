"""core/irq/intx.c with the in-kernel irqchip: KVM does it all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kvm.test_routing import soon, vm, waiting
from vmm.errors import VmmError
from vmm.irq import IrqRouter
from vmm.kvm.system import System
from vmm.kvm.vm import Vm
from vmm.loop import IoLoop
from vmm.native import lib, made
from vmm.pci.intx import Intx

pytestmark = pytest.mark.needs("kvm")
__all__ = ["vm"]


@pytest.fixture
def hub(vm: Vm) -> Any:
    IrqRouter(vm, split=False)
    hub = made(lib.irq_hub_create(), lib.irq_hub_destroy, "hub")
    lib.irq_hub_use_kernel(hub, vm.fd.number)
    return hub


@pytest.fixture
def loop() -> Iterator[IoLoop]:
    loop = IoLoop()
    yield loop
    loop.close()


def test_trigger_holds_the_line_until_the_eoi(vm: Vm, hub: Any, loop: IoLoop) -> None:
    source = Intx(hub, loop, 10)
    source.check()
    os.eventfd_write(source.trigger, 1)

    assert soon(lambda: waiting(vm) & 1 << 10 != 0)
    with pytest.raises(BlockingIOError):
        os.eventfd_read(source.resample)
    source.close()
    assert waiting(vm) & 1 << 10 == 0


def test_two_sources_share_a_line(vm: Vm, hub: Any, loop: IoLoop) -> None:
    sources = [Intx(hub, loop, 17), Intx(hub, loop, 17)]

    for source in sources:
        source.check()
    os.eventfd_write(sources[1].trigger, 1)
    sources[0].close()

    assert soon(lambda: waiting(vm) & 1 << 17 != 0)
    sources[1].close()


def test_what_kvm_refuses_is_told_in_a_sentence(loop: IoLoop) -> None:
    system = System()
    vm = system.create_vm()  # without an interrupt chip
    hub = made(lib.irq_hub_create(), lib.irq_hub_destroy, "hub")
    lib.irq_hub_use_kernel(hub, vm.fd.number)

    source = Intx(hub, loop, 17)
    with pytest.raises(VmmError, match="eventfds of an interrupt to GSI 17 failed: Invalid arg"):
        source.check()

    source.close()
    vm.close()
    system.close()
