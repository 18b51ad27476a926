"""What the userspace back-end needs of KVM."""

from __future__ import annotations

from vmm.errors import HostError

SYNC_REGS = 1 | 2  # KVM_SYNC_X86_REGS, KVM_SYNC_X86_SREGS
NEEDED = {
    "KVM_CAP_SYNC_REGS": "registers of a hypercall",
    "KVM_CAP_SIGNAL_MSI": "upcalls",
    "KVM_CAP_ADJUST_CLOCK": "the system time",
    "KVM_CAP_MP_STATE": "vCPUs that poll",
}


def check_caps(values: dict[str, int]) -> None:
    """HostError unless KVM has what the back-end is made of. values: by capability's name."""
    lacks = [name for name in NEEDED if not values.get(name)]
    if values.get("KVM_CAP_SYNC_REGS", 0) & SYNC_REGS != SYNC_REGS and not lacks:
        lacks = ["registers in KVM_CAP_SYNC_REGS"]
    if lacks:
        raise HostError(
            f"KVM here lacks {' and '.join(lacks)}, which --xen-backend userspace needs; "
            "use a newer kernel"
        )
