"""Hyper-V's CPUID leaves beside another hypervisor's.

A guest looks for Hyper-V at 0x40000000 only; whoever else has leaves shows them 0x100 higher, where
guests of KVM and of Xen look as well. Shown is what KVM does without further setting up: reference
time, virtual processor indices and run time, APIC registers by MSR, hypercalls; no synthetic
interrupts or timers. Hypervisor Top-Level Functional Specification, chapter 2 (feature discovery).
"""

from __future__ import annotations

from struct import unpack

from vmm.kvm.features import EAX, EBX, EDX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmm.kvm.cpuid import CpuidEntry

BASE, STEP = 0x40000000, 0x100
SIGNATURE = b"Microsoft Hv"
INTERFACE, VERSION, FEATURES, ADVICE, LIMITS = range(BASE + 1, BASE + 6)
LEAVES = range(BASE, LIMITS + 1)
# Leaf 3 EAX, by bit: VP run time, reference counter, APIC MSRs, hypercalls, VP index, reference TSC
# page, frequency MSRs; EDX: the latter's second flag.
FEATURES_EAX = 1 << 0 | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 9 | 1 << 11
FEATURES_EDX = 1 << 8
ADVICE_EAX = 1 << 5  # relaxed timing: a late tick is no broken clock
SPINLOCK_RETRIES_NEVER = 0xFFFFFFFF


def leaves(offered: Iterable[CpuidEntry]) -> list[CpuidEntry]:
    """What to show of KVM_GET_SUPPORTED_HV_CPUID's answer."""
    shown = []
    for entry in offered:
        row = list(entry)
        if row[0] not in LEAVES:
            continue
        if row[0] == BASE:
            row[EAX] = LEAVES[-1]
            row[EBX : EDX + 1] = unpack("<3I", SIGNATURE)
        elif row[0] == FEATURES:
            row[EAX] &= FEATURES_EAX
            row[EBX : EDX + 1] = 0, 0, row[EDX] & FEATURES_EDX
        elif row[0] == ADVICE:
            row[EAX] &= ADVICE_EAX
            row[EBX : EDX + 1] = SPINLOCK_RETRIES_NEVER, 0, 0
        shown.append(tuple(row))
    return shown  # type: ignore[return-value]


def beside(entries: Iterable[CpuidEntry], hyperv: Iterable[CpuidEntry]) -> list[CpuidEntry]:
    """A vCPU's table with Hyper-V's leaves, those of the other hypervisor 0x100 higher."""
    return [*map(_higher, entries), *hyperv]


def _higher(entry: CpuidEntry) -> CpuidEntry:
    function, index, flags, eax, ebx, ecx, edx = entry
    if not BASE <= function < BASE + STEP:
        return entry
    last = eax + STEP if function == BASE else eax
    return function + STEP, index, flags, last, ebx, ecx, edx
