"""HVM_PARAM_CALLBACK_IRQ (xen/include/public/hvm/params.h): how vCPUs are told of events that have
no vector of their own.
"""

from __future__ import annotations

from vmm import layout
from vmm.xen import abi, vcpus
from vmm.xen.abi import XenError
from vmm.xen.evtchnop import connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.domain import XenDomain


def set_callback(domain: XenDomain, value: int) -> bool:
    """Whether `tell_anew()` has to follow. What is refused changes nothing. The lock is held.

    By a wire, an interrupt pin or a PCI pin, only the boot vCPU can be told, and it is not while it
    has its own vector, which comes first in Xen too.
    """
    vector, gsi = 0, None
    if value >> 56 == abi.CALLBACK_VIA_VECTOR:
        vector = value & 0xFF
        if vector < abi.MIN_VECTOR:
            raise XenError(abi.EINVAL)
    elif value and not domain.vcpus[0].vector:
        gsi = _gsi_of(value)
    other_way = domain.backend.set_callback_gsi(gsi)
    domain.vector = vector
    vcpus.follow_vectors(domain)
    return other_way


def _gsi_of(value: int) -> int:
    """Of a wire; EINVAL for what is none."""
    kind = value >> 56
    if kind == abi.CALLBACK_VIA_GSI:
        return value & (1 << 56) - 1
    slot, pin = value >> 11 & 0x1F, value & 3
    if kind != abi.CALLBACK_VIA_PCI_INTX or value >> 16 & (1 << 40) - 1:
        raise XenError(abi.EINVAL)  # another bus than the only one
    return layout.GSI_PCI_INTX[(slot + pin) % 4]


def tell_anew(domain: XenDomain, caller: int) -> None:
    """The back-end delivers events in another way, which learns of ports and vCPUs by this."""
    with domain.lock:
        for number, port in domain.ports:
            domain.backend.opened(number, port.vcpu)
            connect(domain, number)
    for index in range(len(domain.kvm)):
        vcpus.follow(domain, caller, index)
        vcpus.follow_timer(domain, caller, index)
    domain.send_again()
