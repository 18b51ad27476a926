"""What the back-end with KVM's help needs of it."""

from __future__ import annotations

from vmm.errors import HostError
from vmm.native import lib

NEEDED = (
    "HYPERCALL_MSR", "INTERCEPT_HCALL", "SHARED_INFO", "RUNSTATE", "EVTCHN_2LEVEL", "EVTCHN_SEND",
)  # fmt: skip


def check_flags(flags: int) -> None:
    """HostError unless KVM_CAP_XEN_HVM offers all that the back-end is made of."""
    if not flags:
        raise HostError(
            "KVM here lacks KVM_CAP_XEN_HVM, which --xen-backend kvm needs; use "
            "--xen-backend userspace, or a kernel built with CONFIG_KVM_XEN"
        )
    lacks = [n for n in NEEDED if not flags & getattr(lib, f"KVM_XEN_HVM_CONFIG_{n}")]
    if lacks:
        raise HostError(
            f"KVM_CAP_XEN_HVM is {flags:#x} here and lacks {' and '.join(lacks)}, which "
            "--xen-backend kvm needs; use --xen-backend userspace, or Linux 5.19 or later with "
            "scheduler statistics"
        )
