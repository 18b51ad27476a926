"""core/irq/router.c: which GSIs there are, where they lead, and what KVM is told."""

from __future__ import annotations

import threading
import time

import pytest

from vmm import layout
from vmm.errors import HostError, KvmError, VmmError
from vmm.irq import IrqRouter
from vmm.native import lib


def test_kernel_irqchip_routes_every_pin_but_the_cascade() -> None:
    router = IrqRouter(None, split=False)
    pins = {(gsi, chip, pin) for gsi, _type, chip, pin in router.entries()}

    assert (0, lib.KVM_IRQCHIP_IOAPIC, 2) in pins
    assert (8, lib.KVM_IRQCHIP_PIC_SLAVE, 0) in pins
    assert (8, lib.KVM_IRQCHIP_IOAPIC, 8) in pins
    assert (23, lib.KVM_IRQCHIP_IOAPIC, 23) in pins
    assert 2 not in {gsi for gsi, _chip, _pin in pins}
    assert router.commits() == 1


def test_wires_of_pci_arrive_at_the_pic_as_well_each_at_a_line_of_its_own() -> None:
    router = IrqRouter(None, split=False, legacy=True)
    last: dict[tuple[int, int], int] = {}  # whose EOI it is, for KVM
    for gsi, _type, chip, pin in router.entries():
        last[chip, pin] = gsi

    assert {last[lib.KVM_IRQCHIP_IOAPIC, gsi] for gsi in layout.GSI_PCI_INTX} == {16, 17, 18, 19}
    places = [(line // 8, line % 8) for line in layout.PIC_PCI_INTX]
    assert [last[place] for place in places] == list(layout.GSI_PCI_INTX)
    assert last[lib.KVM_IRQCHIP_PIC_SLAVE, 0] == 8


def test_allocated_gsis_lie_above_the_pins_and_come_back() -> None:
    router = IrqRouter(None, split=True, pins=48)
    first, second = router.alloc_gsi(), router.alloc_gsi()
    assert (first, second) == (48, 49)
    router.set_msi(first, 0xFEE00000, 0x41)
    router.free_gsi(first)

    assert router.alloc_gsi() == first
    assert router.entries() == []


def test_threads_that_allocate_at_the_same_time_get_different_gsis() -> None:
    class Slow(set[int]):
        """Lets another thread run between the look and the taking."""

        def __contains__(self, gsi: object) -> bool:
            there = super().__contains__(gsi)
            time.sleep(0.001)
            return there

    router = IrqRouter(None, split=False)
    router._used = Slow(router._used)
    given: list[int] = []
    threads = [threading.Thread(target=lambda: given.append(router.alloc_gsi())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(given) == [24, 25, 26, 27]


def test_gsis_run_out_with_a_sentence() -> None:
    router = IrqRouter(None, split=False)
    for _ in range(lib.ROUTER_MAX_GSI - 24):
        router.alloc_gsi()

    with pytest.raises(VmmError, match="GSIs are in use"):
        router.alloc_gsi()


def test_table_refuses_what_does_not_fit() -> None:
    router = IrqRouter(None, split=True)
    with pytest.raises(KvmError, match="GSI 4096"):
        router.set_msi(lib.ROUTER_MAX_GSI, 0, 0)
    for gsi in range(lib.ROUTER_MAX_ROUTES):
        router.set_msi(gsi, gsi, 0)

    with pytest.raises(KvmError, match="No space"):
        router.set_msi(lib.ROUTER_MAX_ROUTES, 0, 0)
    router.set_msi(5, 0xFEE00000, 1)  # replacing needs no room


def test_replacing_a_route_by_itself_commits_nothing() -> None:
    router = IrqRouter(None, split=True)
    gsi = router.alloc_gsi()
    for _ in range(3):
        router.set_msi(gsi, 0xFEE00000, 0x41)
        router.commit()
    assert router.commits() == 1
    router.set_msi(gsi, 0x1_FEE00000, 0x41)
    router.commit()

    assert router.commits() == 2
    assert router.entries() == [(gsi, lib.KVM_IRQ_ROUTING_MSI, 0x1_FEE00000, 0x41)]


def test_msi_replaces_both_pins_of_a_gsi() -> None:
    router = IrqRouter(None, split=False)
    router.set_msi(4, 0xFEE00000, 0x41)

    routes = [entry for entry in router.entries() if entry[0] == 4]
    assert routes == [(4, lib.KVM_IRQ_ROUTING_MSI, 0xFEE00000, 0x41)]


def test_irqfds_may_not_drive_pins_of_the_split_chip() -> None:
    router = IrqRouter(None, split=True, pins=24)

    with pytest.raises(HostError, match="GSI 23"):
        router.attach(23, 0)
    router.attach(24, 0)
