"""What a guest may write to EFER (AMD APM volume 2, 3.1.7).

A write that KVM handed over is carried out with KVM_SET_MSRS, which takes it for the host's: KVM
then refuses only what no guest of its could have, whatever CPUID shows to this one.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.kvm.vcpu import KvmVcpu

MSR_EFER = 0xC0000080
SCE, LME, LMA, NXE, SVME, LMSLE, FFXSR, TCE, AUTOMATIC_IBRS = (
    1 << bit for bit in (0, 8, 10, 11, 12, 13, 14, 15, 21)
)
CR0_PG = 1 << 31
EAX, ECX, EDX = 0, 2, 3
# (leaf, register, bit): the EFER bits that come with it
FEATURES = {
    (0x80000001, EDX, 20): NXE,
    (0x80000001, EDX, 25): FFXSR,
    (0x80000001, EDX, 29): LME | LMA,
    (0x80000001, ECX, 2): SVME | LMSLE,
    (0x80000001, ECX, 17): TCE,
    (0x80000021, EAX, 8): AUTOMATIC_IBRS,
}


def guest_may_write(vcpu: KvmVcpu, value: int) -> bool:
    """Context: the vCPU's thread."""
    leaves = vcpu.get_cpuid2()
    known = SCE
    for (leaf, register, bit), bits in FEATURES.items():
        if leaf in leaves and leaves[leaf][register] >> bit & 1:
            known |= bits
    sregs = vcpu.get_sregs()
    switches_mode = bool((value ^ sregs.efer) & LME and sregs.cr0 & CR0_PG)
    return not value & ~known and not switches_mode
