"""What the guest registered for each vCPU, and keeping the back-end in step with it.

The table changes under the domain's lock; what follows is carried out on the vCPU's own thread.
"""

from __future__ import annotations

from vmm import log
from vmm.errors import KvmError
from vmm.xen import abi
from vmm.xen.abi import XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.domain import XenDomain


class XenVcpu:
    """What the guest registered for one vCPU: guest-physical addresses, `None` for none."""

    def __init__(self) -> None:
        self.info: int | None = None  # its own vcpu_info; else the one in shared_info
        self.time: int | None = None
        self.runstate: int | None = None
        self.vector = 0
        self.timer = 0  # when it goes off, if it was set before it had a port; 0: never
        self.down = False  # stands still by the guest's wish


def follow(domain: XenDomain, caller: int, index: int) -> None:
    """Has the vCPU's thread make the back-end follow. EINVAL for what it will not take."""
    try:
        domain.carry_out(caller, index, lambda: apply(domain, index))
    except KvmError:
        raise XenError(abi.EINVAL) from None


def info_of(domain: XenDomain, index: int) -> int | None:
    """Where the vCPU's vcpu_info is."""
    own = domain.vcpus[index].info
    if own is not None or domain.shared is None or index >= abi.LEGACY_MAX_VCPUS:
        return own
    return domain.shared + index * abi.VCPU_INFO_SIZE


def apply(domain: XenDomain, index: int) -> None:
    """Context: the vCPU's thread, or it is parked."""
    kvm, backend = domain.kvm[index], domain.backend
    with domain.lock:
        own, info = domain.vcpus[index], info_of(domain, index)
        time, runstate, vector = own.time, own.runstate, own.vector
    backend.vcpu_info(kvm, info)
    backend.vcpu_time_info(kvm, time)
    backend.vcpu_runstate(kvm, runstate)
    backend.vcpu_upcall_vector(kvm, vector)


def follow_vectors(domain: XenDomain) -> None:
    """A vCPU's own vector comes before the domain's, which KVM raises as well while it has it.

    It is therefore taken away when no vCPU is left that needs it. The lock is held.
    """
    needed = any(not vcpu.vector for vcpu in domain.vcpus)
    domain.backend.set_upcall_vector(domain.vector if needed else 0)


def tell_pending(domain: XenDomain, index: int) -> None:
    """Raises the vCPU's own vector for what came before it had one."""
    with domain.lock:
        info, vector = info_of(domain, index), domain.vcpus[index].vector
    if vector and info is not None and domain.memory.read(info, 1) != b"\0":
        try:
            domain.backend.raise_vector(index, vector)
        except KvmError as error:  # as lost as one that the local APIC does not take
            log.limited("xen.vector_not_raised", vcpu=index, error=str(error))


def follow_timer(domain: XenDomain, caller: int, index: int) -> None:
    """The timer's VIRQ was bound or closed: the timer starts anew, or stops."""
    domain.carry_out(caller, index, lambda: apply_timer(domain, index))


def apply_timer(domain: XenDomain, index: int) -> None:
    """Context: as apply()."""
    with domain.lock:
        port, own = domain.ports.virq_port(abi.VIRQ_TIMER, index), domain.vcpus[index]
        when = own.timer
        if port:
            own.timer = 0  # KVM's from here on
    domain.backend.vcpu_timer(domain.kvm[index], port, when)
