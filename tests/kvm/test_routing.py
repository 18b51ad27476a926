"""IrqRouter, the split chip's way out and HPET legacy replacement against KVM; no guest runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.native.devrig import DeviceRig
from vmm.cdevice import CDevice
from vmm.devices.legacy import Hpet
from vmm.errors import KvmError
from vmm.irq import IrqRouter
from vmm.kvm.system import System
from vmm.kvm.vm import Vm
from vmm.native import ffi, lib

pytestmark = pytest.mark.needs("kvm")

PATIENCE = 10  # seconds until something asynchronous counts as not happening
HPET_LEGACY = 1  # KVM_PIT_FLAGS_HPET_LEGACY


@pytest.fixture
def vm() -> Iterator[Vm]:
    """A VM with the in-kernel irqchip and PIT."""
    system = System()
    made = system.create_vm()
    made.set_tss_addr(0xFFFBD000)
    made.create_irqchip()
    made.create_pit2()
    yield made
    made.close()
    system.close()


@pytest.fixture
def event() -> Iterator[int]:
    fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    yield fd
    os.close(fd)


def soon(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def waiting(vm: Vm) -> int:
    """Pins of the in-kernel I/O APIC on which an interrupt waits."""
    return int(lib.irqchip_ioapic(vm.get_irqchip(lib.KVM_IRQCHIP_IOAPIC)).irr)


def latched(vm: Vm) -> int:
    """Edges that the in-kernel master PIC remembers: an irqfd's line is high for a moment only."""
    return int(lib.irqchip_pic(vm.get_irqchip(lib.KVM_IRQCHIP_PIC_MASTER)).irr)


def test_irqfd_raises_the_pin_of_its_gsi(vm: Vm, event: int) -> None:
    router = IrqRouter(vm, split=False)
    router.attach(5, event)
    os.eventfd_write(event, 1)

    assert soon(lambda: latched(vm) == 1 << 5)
    router.detach(5, event)
    os.eventfd_write(event, 1)
    assert os.eventfd_read(event) == 1, "nobody reads it any more"


def test_the_timers_gsi_is_pin_2(vm: Vm) -> None:
    IrqRouter(vm, split=False)
    vm.irq_line(0, 1)

    assert waiting(vm) & 0b101 == 1 << 2


def test_msi_route_is_taken_by_kvm_and_its_irqfd_too(vm: Vm, event: int) -> None:
    router = IrqRouter(vm, split=False)
    gsi = router.alloc_gsi()
    router.set_msi(gsi, 0xFEE00000, 0x41)
    router.commit()
    router.attach(gsi, event)
    with pytest.raises(KvmError, match=f"KVM_IRQFD.*GSI {gsi}"):
        router.attach(gsi, event)
    router.detach(gsi, event)
    router.free_gsi(gsi)
    router.commit()


def test_routes_of_the_split_chip_are_taken_by_kvm() -> None:
    system = System()
    vm = system.create_vm()
    vm.split_irqchip(48)
    router = IrqRouter(vm, split=True, pins=48)
    ioapic = lib.ioapic_create(48)
    lib.ioapic_use_kvm(ioapic, vm.fd.number)
    lib.ioapic_set_router(ioapic, router.pointer)
    state = ffi.new("struct ioapic_state *")
    lib.ioapic_save(ioapic, state)
    state.rte[47] = 1 << 15 | 0x41
    assert lib.ioapic_load(ioapic, state) == 0

    assert router.entries() == [(47, lib.KVM_IRQ_ROUTING_MSI, 0xFEE00000, 0xC041)]
    assert ioapic.route_failures == 0
    lib.ioapic_set_line(ioapic, 47, 1)
    assert not remote_irr(ioapic, 47), "no vCPU exists that could take it"
    lib.ioapic_destroy(ioapic)
    vm.close()
    system.close()


def remote_irr(ioapic: Any, pin: int) -> bool:
    state = ffi.new("struct ioapic_state *")
    lib.ioapic_save(ioapic, state)
    return bool(state.rte[pin] >> 14 & 1)


def test_hpet_legacy_replacement_silences_the_kernels_pit(vm: Vm) -> None:
    def build(context: object) -> CDevice:
        hpet = Hpet(context, None, None)  # type: ignore[arg-type]
        routes.append(lib.legacy_route_create(hpet.pointer, ffi.NULL, ffi.NULL, vm.fd.number))
        return hpet

    routes: list[Any] = []
    with DeviceRig(build, machine="legacy") as rig:
        rig.write(0, 0x10, 3, 8)
        assert vm.get_pit2().flags & HPET_LEGACY
        rig.write(0, 0x10, 1, 8)
        assert not vm.get_pit2().flags & HPET_LEGACY
    lib.legacy_route_destroy(routes[0])
