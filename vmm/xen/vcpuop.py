"""vcpu_op (xen/include/public/vcpu.h). KVM answers the singleshot timer once it has a port."""

from __future__ import annotations

from struct import pack

from vmm.errors import KvmError
from vmm.native import lib
from vmm.xen import abi
from vmm.xen.abi import XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.call import Call
    from vmm.xen.domain import XenDomain

TIMER_FUTURE = 1  # VCPU_SSHOTTMR_future
NO_FRAME = (1 << 64) - 1


def _target(domain: XenDomain, call: Call) -> int:
    index = call.params[1] & 0xFFFFFFFF
    domain.ports.check_vcpu(index)
    return index


def is_up(domain: XenDomain, call: Call) -> int:
    index = _target(domain, call)
    kvm = domain.kvm[index]
    waits = (lib.KVM_MP_STATE_UNINITIALIZED, lib.KVM_MP_STATE_INIT_RECEIVED)
    return int(domain.carry_out(call.vcpu, index, kvm.get_mp_state) not in waits)


def get_runstate_info(domain: XenDomain, call: Call) -> int:
    index = _target(domain, call)
    kvm = domain.kvm[index]
    try:
        state, entry, times = domain.carry_out(
            call.vcpu, index, lambda: domain.backend.vcpu_runstate_times(kvm)
        )
    except KvmError:
        raise XenError(abi.ENOSYS) from None  # a host without scheduler statistics
    layout = "<i4xQ4Q" if call.wide else "<iQ4Q"
    call.write(call.params[2], pack(layout, state, entry, *times))
    return 0


def _area(call: Call, size: int) -> int | None:
    """The guest-physical address of the area whose linear address is in the argument."""
    (linear,) = call.read_struct(call.params[2], "<Q" if call.wide else "<I")
    if not linear:
        return None
    gpa = call.physical(linear, size)
    call.read(linear, size)  # EFAULT unless it is RAM
    return gpa


def register_runstate_memory_area(domain: XenDomain, call: Call) -> int:
    index = _target(domain, call)
    size = abi.RUNSTATE_SIZE if call.wide else abi.RUNSTATE_SIZE32
    domain.vcpus[index].runstate = _area(call, size)
    return _follow(domain, call, index, "runstate")


def register_vcpu_time_memory_area(domain: XenDomain, call: Call) -> int:
    index = _target(domain, call)
    domain.vcpus[index].time = _area(call, abi.TIME_INFO_SIZE)
    return _follow(domain, call, index, "time")


def _follow(domain: XenDomain, call: Call, index: int, what: str) -> int:
    """A place that the back-end will not take is none."""
    try:
        domain.on_vcpu(call.vcpu, index)
    except XenError:
        setattr(domain.vcpus[index], what, None)
        domain.on_vcpu(call.vcpu, index)
        raise
    return 0


def register_vcpu_info(domain: XenDomain, call: Call) -> int:
    """Once for each vCPU. What it was told at the old place is copied, and told again."""
    index = _target(domain, call)
    frame, offset, _reserved = call.read_struct(call.params[2], "<QII")
    if offset > abi.PAGE - abi.VCPU_INFO_SIZE or frame >= 1 << 40:
        raise XenError(abi.EINVAL)
    gpa = frame * abi.PAGE + offset
    own = domain.vcpus[index]
    with domain.lock:
        if own.info is not None:
            raise XenError(abi.EINVAL)
        old = domain.info_of(index)
        try:
            size = abi.VCPU_INFO_SIZE
            domain.memory.write(gpa, bytes(size) if old is None else domain.memory.read(old, size))
        except ValueError:
            raise XenError(abi.EINVAL) from None
        own.info = gpa
    _follow(domain, call, index, "info")
    domain.send_again()
    return 0


def stop_periodic_timer(domain: XenDomain, call: Call) -> int:
    """There is none: nobody can start one."""
    _target(domain, call)
    return 0


def stop_singleshot_timer(domain: XenDomain, call: Call) -> int:
    """Reaches us while the timer has no port: then none runs."""
    if _target(domain, call) != call.vcpu:
        raise XenError(abi.EINVAL)
    return 0


def get_physid(domain: XenDomain, call: Call) -> int:
    _target(domain, call)
    raise XenError(abi.EINVAL)  # no vCPU is bound to a processor


OPS = {
    3: is_up,
    4: get_runstate_info,
    5: register_runstate_memory_area,
    7: stop_periodic_timer,
    9: stop_singleshot_timer,
    10: register_vcpu_info,
    12: get_physid,
    13: register_vcpu_time_memory_area,
}
