"""hvm_op (xen/include/public/hvm/hvm_op.h) and who may read or write which parameter."""

from __future__ import annotations

from struct import pack

from vmm.xen import abi
from vmm.xen.abi import XenError
from vmm.xen.memoryop import check_domain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.call import Call
    from vmm.xen.domain import XenDomain

PARAM = "<H2xIQ"  # struct xen_hvm_param: domid, index, value
SETTABLE = (
    abi.HVM_PARAM_CALLBACK_IRQ, abi.HVM_PARAM_VM86_TSS, abi.HVM_PARAM_VM86_TSS_SIZED,
    abi.HVM_PARAM_ACPI_IOPORTS_LOCATION, abi.HVM_PARAM_VM_GENERATION_ID_ADDR,
    abi.HVM_PARAM_STORE_EVTCHN, abi.HVM_PARAM_CONSOLE_EVTCHN, abi.HVM_PARAM_X87_FIP_WIDTH,
)  # fmt: skip


def _param(call: Call) -> tuple[int, int, int]:
    target, index, value = call.read_struct(call.params[1], PARAM)
    if index >= abi.HVM_NR_PARAMS:
        raise XenError(abi.EINVAL)
    check_domain(target)
    return target, index, value


def set_param(domain: XenDomain, call: Call) -> int:
    _target, index, value = _param(call)
    if index not in SETTABLE:
        raise XenError(abi.EPERM)
    with domain.lock:
        if index == abi.HVM_PARAM_CALLBACK_IRQ:
            domain.latch(call.wide, again=True)
            _set_callback(domain, value)
        domain.params[index] = value
    return 0


def _set_callback(domain: XenDomain, value: int) -> None:
    """How vCPUs without a vector of their own are told of events.

    By a wire (an interrupt pin or a PCI pin) they cannot be told here: EINVAL, unless the boot vCPU
    has its own vector, which comes first in Xen too.
    """
    if value >> 56 == abi.CALLBACK_VIA_VECTOR:
        vector = value & 0xFF
        if vector < abi.MIN_VECTOR:
            raise XenError(abi.EINVAL)
    elif value and not domain.vcpus[0].vector:
        raise XenError(abi.EINVAL)
    else:
        vector = 0
    domain.vector = vector
    domain.follow_vectors()


def get_param(domain: XenDomain, call: Call) -> int:
    target, index, _value = _param(call)
    with domain.lock:
        value = domain.params.get(index)
    if value is None:
        raise XenError(abi.EPERM)
    call.write(call.params[1], pack(PARAM, target, index, value))
    return 0


def get_time(domain: XenDomain, call: Call) -> int:
    call.write(call.params[1], pack("<Q", domain.backend.now()))
    return 0


def set_evtchn_upcall_vector(domain: XenDomain, call: Call) -> int:
    index, vector = call.read_struct(call.params[1], "<IB3x")
    if vector < abi.MIN_VECTOR:
        raise XenError(abi.EINVAL)
    domain.ports.check_vcpu(index)
    with domain.lock:
        domain.vcpus[index].vector = vector
        domain.follow_vectors()
    domain.on_vcpu(call.vcpu, index)
    domain.tell_pending(index)
    return 0


OPS = {0: set_param, 1: get_param, 10: get_time, 23: set_evtchn_upcall_vector}
