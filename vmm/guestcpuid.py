"""What CPUID shows a machine's vCPUs: KVM's leaves or a Xen domain's, alone or beside Hyper-V's."""

from __future__ import annotations

from vmm.errors import HostError
from vmm.kvm import cpuid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.config import VmConfig
    from vmm.kvm.cpuid import CpuidEntry
    from vmm.kvm.system import System
    from vmm.kvm.vcpu import KvmVcpu
    from vmm.xen.domain import XenDomain


class GuestCpuid:
    """One machine's. tsc_khz: the guest's TSC frequency, 0 if unknown.

    ConfigError as `cpuid.prepare()`; HostError where the host's KVM knows nothing of Hyper-V.
    """

    def __init__(
        self,
        system: System,
        config: VmConfig,
        caps: dict[str, int],
        tsc_khz: int,
        xen: XenDomain | None,
    ) -> None:
        supported = system.supported_cpuid()
        if xen is not None:
            supported = xen.without_kvm(supported)
        self._table = cpuid.prepare(supported, config.cpu, config.cpus, caps, tsc_khz)
        self._xen, self._khz = xen, tsc_khz
        self._enforced = config.hyperv and bool(caps.get("KVM_CAP_HYPERV_ENFORCE_CPUID"))
        self._hyperv: list[CpuidEntry] = []
        if config.hyperv:
            if not caps["KVM_CAP_SYS_HYPERV_CPUID"]:
                raise HostError(
                    "KVM here lacks KVM_CAP_SYS_HYPERV_CPUID, which --hyperv needs; leave that "
                    "out, or use Linux 5.11 or later with CONFIG_KVM_HYPERV"
                )
            from vmm.kvm import hyperv

            self._hyperv = hyperv.leaves(system.hyperv_cpuid())

    def show(self, kvm: KvmVcpu, vcpu: int) -> None:
        """Gives the vCPU at that place, from 0, its table.

        Of Hyper-V the guest has no more than that, where KVM can see to it: some calls would be
        exits otherwise.
        """
        if self._enforced:
            kvm.enforce_hyperv_cpuid()
        kvm.set_cpuid2(self.of(vcpu))

    def of(self, vcpu: int) -> list[CpuidEntry]:
        """The table of the vCPU at that place, from 0."""
        entries = self._table.for_vcpu(vcpu)
        if self._xen is not None:
            entries += self._xen.leaves(vcpu, self._khz)
        if self._hyperv:
            from vmm.kvm import hyperv

            entries = hyperv.beside(entries, self._hyperv)
        return entries
