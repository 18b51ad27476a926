"""A VM with in-kernel chips and vCPUs that never run, for tests of their state."""

from __future__ import annotations

from typing import Any

from vmm import layout
from vmm.kvm import caps, cpuid, state, topology
from vmm.kvm.system import System
from vmm.values import CpuConfig

CPUS = 3


class Rig:
    """A VM with in-kernel irqchip and PIT, and vCPUs that have their CPUID."""

    def __init__(self) -> None:
        self.system = System()
        self.caps = caps.probe(self.system.fd)
        self.indices = self.system.msr_indices()
        self.vm = self.system.create_vm()
        self.vm.set_tss_addr(layout.KVM_TSS)
        self.vm.create_irqchip()
        self.vm.create_pit2()
        ids = topology.apic_ids(CpuConfig(), CPUS)
        self.vcpus = [self.vm.create_vcpu(apic_id) for apic_id in ids]
        supported = self.system.supported_cpuid()
        table = cpuid.prepare(supported, CpuConfig(), CPUS, self.caps, 0)
        for vcpu_id, vcpu in enumerate(self.vcpus):
            vcpu.set_cpuid2(table.for_vcpu(vcpu_id))

    def save(self, vcpu: Any) -> dict[str, Any]:
        return state.save(vcpu, self.indices, self.caps)

    def close(self) -> None:
        for vcpu in self.vcpus:
            vcpu.close()
        self.vm.close()
        self.system.close()
