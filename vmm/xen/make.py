"""A domain from a configuration."""

from __future__ import annotations

from vmm.check import read_xen_version
from vmm.xen.domain import XenDomain
from vmm.xen.kvmxen import KvmXen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.context import DeviceContext
    from vmm.kvm.vm import Vm


def make_domain(context: DeviceContext, vm: Vm, flags: int) -> XenDomain:
    """flags: KVM_CAP_XEN_HVM's value. HostError where that is too little. No vCPU exists yet."""
    version = read_xen_version(context.config.xen_version)
    assert version is not None  # checked with the configuration
    backend = KvmXen(vm, context, flags, version)
    return XenDomain(backend, context, len(context.apic_ids), version)
