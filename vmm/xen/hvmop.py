"""hvm_op (xen/include/public/hvm/hvm_op.h) and who may read or write which parameter."""

from __future__ import annotations

from struct import pack

from vmm.xen import abi, vcpus
from vmm.xen.abi import XenError
from vmm.xen.callback import set_callback, tell_anew
from vmm.xen.memoryop import check_domain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.call import Call
    from vmm.xen.domain import XenDomain

TSS_SIZE = 104  # bytes of a 32-bit task state segment
MEM_RAM, MEM_MMIO = 0, 2  # HVMMEM_ram_rw, HVMMEM_mmio_dm
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
    _check_value(index, value)
    other_way = False
    with domain.lock:
        if index == abi.HVM_PARAM_CALLBACK_IRQ:
            other_way = set_callback(domain, value)
            domain.latch(call.wide, again=True)
        domain.params[index] = value
    if other_way:
        tell_anew(domain, call.vcpu)
    return 0


def _check_value(index: int, value: int) -> None:
    """EINVAL for what a parameter cannot be."""
    allowed = {
        abi.HVM_PARAM_VM86_TSS: value < 1 << 32,
        abi.HVM_PARAM_VM86_TSS_SIZED: value >> 32 >= TSS_SIZE,
        abi.HVM_PARAM_ACPI_IOPORTS_LOCATION: value in (0, 1),
        abi.HVM_PARAM_X87_FIP_WIDTH: value in (0, 4, 8),
    }
    if not allowed.get(index, True):
        raise XenError(abi.EINVAL)


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


def flush_tlbs(domain: XenDomain, call: Call) -> int:
    """Of every vCPU, before anything else."""
    if call.params[1]:
        raise XenError(abi.EINVAL)
    for index, kvm in enumerate(domain.kvm):
        domain.carry_out(call.vcpu, index, kvm.flush_tlb)
    return 0


def get_mem_type(domain: XenDomain, call: Call) -> int:
    """What is in a frame: how a crash kernel keeps off pages that were given back."""
    target, _type, _pad, _pad1, frame = call.read_struct(call.params[1], "<HHHHQ")
    check_domain(target)
    with domain.lock:
        ram = domain.reservation.is_ram(frame)
    call.write(call.params[1] + 2, pack("<H", MEM_RAM if ram else MEM_MMIO))
    return 0


def guest_request_vm_event(domain: XenDomain, call: Call) -> int:
    """For a monitor of the domain, of which there is none."""
    if call.params[1]:
        raise XenError(abi.EINVAL)
    return 0


def set_evtchn_upcall_vector(domain: XenDomain, call: Call) -> int:
    index, vector = call.read_struct(call.params[1], "<IB3x")
    if vector < abi.MIN_VECTOR:
        raise XenError(abi.EINVAL)
    domain.ports.check_vcpu(index)
    with domain.lock:
        domain.vcpus[index].vector = vector
        vcpus.follow_vectors(domain)
    vcpus.follow(domain, call.vcpu, index)
    vcpus.tell_pending(domain, index)
    return 0


OPS = {
    0: set_param,
    1: get_param,
    5: flush_tlbs,
    10: get_time,
    15: get_mem_type,
    23: set_evtchn_upcall_vector,
    24: guest_request_vm_event,
}
