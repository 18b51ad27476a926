"""CPUID of a Xen HVM domain (xen/include/public/arch-x86/cpuid.h).

KVM's own leaves are taken out: a kernel that saw both would choose one by its own rules.
"""

from __future__ import annotations

from struct import unpack

from vmm.xen import abi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmm.kvm.cpuid import CpuidEntry

HYPERVISOR_LEAVES = range(0x40000000, 0x40010000)
LEAVES = 5  # base + 0 to base + 4
SIGNIFICANT_INDEX = 1  # KVM_CPUID_FLAG_SIGNIFCANT_INDEX


def hypercall_msr(*, hyperv: bool) -> int:
    """Its index: the first is Hyper-V's own where that is shown too."""
    return abi.HYPERCALL_MSR_VIRIDIAN if hyperv else abi.HYPERCALL_MSR


def without_hypervisor(supported: Iterable[CpuidEntry]) -> list[CpuidEntry]:
    """KVM's supported table without the leaves by which a guest knows a hypervisor."""
    return [entry for entry in supported if entry[0] not in HYPERVISOR_LEAVES]


def leaves(
    version: int, vcpu: int, tsc_khz: int, hypercall_msr: int, *, messages: bool = False
) -> list[CpuidEntry]:
    """The domain's leaves for one vCPU. version: major << 16 | minor. messages: local APICs take
    them so well that they had better not be event channels.

    KVM fills in what leaf 3 says of the TSC's scale and offset, where it knows how.
    """
    base = abi.CPUID_BASE
    ebx, ecx, edx = unpack("<3I", abi.CPUID_SIGNATURE)
    flags = abi.HVM_CPUID_VCPU_ID_PRESENT | abi.HVM_CPUID_DOMID_PRESENT
    if version >= abi.VERSION_UPCALL_VECTOR:
        flags |= abi.HVM_CPUID_UPCALL_VECTOR
    if messages:
        flags |= abi.HVM_CPUID_APIC_ACCESS_VIRT | abi.HVM_CPUID_X2APIC_VIRT
    indexed = SIGNIFICANT_INDEX
    return [
        (base, 0, 0, base + LEAVES - 1, ebx, ecx, edx),
        (base + 1, 0, 0, version, 0, 0, 0),
        (base + 2, 0, 0, 1, hypercall_msr, 0, 0),  # one hypercall page
        (base + 3, 0, indexed, 0, abi.TSC_MODE_NEVER_EMULATE, tsc_khz, 0),
        (base + 3, 1, indexed, 0, 0, 0, 0),
        (base + 3, 2, indexed, tsc_khz, 0, 0, 0),
        (base + 4, 0, 0, flags, vcpu, abi.DOMID_GUEST, 0),
    ]
