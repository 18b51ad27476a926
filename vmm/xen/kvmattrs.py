"""Attributes of a vCPU of a Xen domain (KVM_XEN_VCPU_SET_ATTR).

Context of all: its thread, or it is parked.
"""

from __future__ import annotations

from vmm.native import ffi, lib
from vmm.xen.kvmports import PRIORITY_2LEVEL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.kvm.vcpu import KvmVcpu

NO_GUEST_PAGE = (1 << 64) - 1  # KVM_XEN_INVALID_GPA, KVM_XEN_INVALID_GFN


def set_vcpu(vcpu: KvmVcpu, kind: int, **fields: Any) -> None:
    vcpu.xen_set_attr(ffi.new("struct kvm_xen_vcpu_attr *", {"type": kind, "u": fields}))


def get_vcpu(vcpu: KvmVcpu, kind: int) -> Any:
    attr = ffi.new("struct kvm_xen_vcpu_attr *", {"type": kind})
    vcpu.xen_get_attr(attr)
    return attr


def set_page(vcpu: KvmVcpu, kind: int, gpa: int | None) -> None:
    set_vcpu(vcpu, kind, gpa=NO_GUEST_PAGE if gpa is None else gpa)


def set_timer(vcpu: KvmVcpu, port: int, expires: int) -> None:
    timer = {"port": port, "priority": PRIORITY_2LEVEL, "expires_ns": expires}
    set_vcpu(vcpu, lib.KVM_XEN_VCPU_ATTR_TYPE_TIMER, timer=timer)


def timer_end(vcpu: KvmVcpu) -> int:
    """When the timer goes off that KVM keeps; 0: it keeps none."""
    timer = get_vcpu(vcpu, lib.KVM_XEN_VCPU_ATTR_TYPE_TIMER).u.timer
    return int(timer.expires_ns) if timer.port else 0
