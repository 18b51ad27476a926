"""Saved states of the in-kernel chips: what is refused before KVM sees any of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vmm.errors import StateError
from vmm.kvm import irqchip_state
from vmm.native import ffi, lib


class FakeVm:
    def __init__(self) -> None:
        self.log: list[str] = []

    def get_irqchip(self, chip_id: int) -> Any:
        return ffi.new("struct kvm_irqchip *", {"chip_id": chip_id})

    def set_irqchip(self, chip: Any) -> None:
        self.log.append(f"chip {chip.chip_id}")

    def get_pit2(self) -> Any:
        return ffi.new("struct kvm_pit_state2 *")

    def set_pit2(self, pit: Any) -> None:
        self.log.append("pit")


def test_all_chips_are_saved_and_loaded() -> None:
    vm: Any = FakeVm()
    irqchip_state.load(vm, json.loads(json.dumps(irqchip_state.save(vm, "kernel", True))))
    chips = (lib.KVM_IRQCHIP_PIC_MASTER, lib.KVM_IRQCHIP_PIC_SLAVE, lib.KVM_IRQCHIP_IOAPIC)
    assert vm.log == [*(f"chip {chip}" for chip in chips), "pit"]


def test_a_split_irqchip_has_nothing_in_the_kernel() -> None:
    vm: Any = FakeVm()
    irqchip_state.load(vm, irqchip_state.save(vm, "split", False))
    assert vm.log == []


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("version", 0, "has version 0"),
        ("irqchip", "none", "cannot be 'none'"),
        ("pic", None, "not a pair"),
        ("pic", [{}, {}], "PIC does not hold exactly"),
        ("ioapic", {}, "IO-APIC does not hold exactly"),
        ("pit", {"channels": [], "flags": 0}, "is not a list of 3"),
    ],
)
def test_an_impossible_irqchip_state_changes_nothing(key: str, value: object, says: str) -> None:
    vm: Any = FakeVm()
    saved = irqchip_state.save(vm, "kernel", True) | {key: value}
    with pytest.raises(StateError, match=says):
        irqchip_state.load(vm, saved)
    assert vm.log == []
