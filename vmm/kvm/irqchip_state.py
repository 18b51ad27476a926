"""The in-kernel interrupt controllers and timer as plain values: PIC pair, IO-APIC, 8254.

With a split irqchip these chips are devices of our own and save themselves; the state is then
empty. Local APICs belong to their vCPUs (`state.py`). All vCPUs must be parked.
"""

from __future__ import annotations

from vmm.errors import KvmError, StateError
from vmm.kvm import plain
from vmm.native import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.kvm.vm import Vm

VERSION = 1
KEYS = {"irqchip", "pic", "ioapic", "pit"}


def save(vm: Vm, irqchip: str, pit: bool) -> dict[str, Any]:
    """`irqchip` is "kernel" or "split"; `pit`: the 8254 is KVM's. KvmError when an ioctl fails."""
    if irqchip == "split":
        return {"version": VERSION, "irqchip": irqchip, "pic": None, "ioapic": None, "pit": None}
    return {
        "version": VERSION,
        "irqchip": irqchip,
        "pic": [plain.dump(lib.irqchip_pic(vm.get_irqchip(chip))) for chip in _pics()],
        "ioapic": plain.dump(lib.irqchip_ioapic(vm.get_irqchip(lib.KVM_IRQCHIP_IOAPIC))),
        "pit": plain.dump(vm.get_pit2()) if pit else None,
    }


def load(vm: Vm, saved: object) -> None:
    """Puts the chips into a saved state. StateError as in `state.load`; nothing is half done then.

    An interrupt that waits in the saved IO-APIC is delivered anew; the PIT starts its present
    period again from the reload value.
    """
    state = plain.header(saved, VERSION, KEYS, "irqchip")
    if state["irqchip"] == "split":
        return
    if state["irqchip"] != "kernel":
        raise StateError(f"The saved irqchip cannot be {state['irqchip']!r}")
    if not isinstance(state["pic"], list) or len(state["pic"]) != 2:
        raise StateError("The saved PIC is not a pair")
    chips = []
    for number, pic in zip(_pics(), state["pic"], strict=True):
        chips.append(_chip(number))
        plain.fill(lib.irqchip_pic(chips[-1]), pic, "PIC")
    chips.append(_chip(lib.KVM_IRQCHIP_IOAPIC))
    plain.fill(lib.irqchip_ioapic(chips[-1]), state["ioapic"], "IO-APIC")
    pit = None
    if state["pit"] is not None:
        pit = ffi.new("struct kvm_pit_state2 *")
        plain.fill(pit, state["pit"], "PIT")
    try:
        for chip in chips:
            vm.set_irqchip(chip)
        if pit is not None:
            vm.set_pit2(pit)
    except KvmError as error:
        raise StateError(f"The saved state of the irqchip does not fit: {error}") from error


def _pics() -> tuple[int, int]:
    return lib.KVM_IRQCHIP_PIC_MASTER, lib.KVM_IRQCHIP_PIC_SLAVE


def _chip(number: int) -> Any:
    return ffi.new("struct kvm_irqchip *", {"chip_id": number})
