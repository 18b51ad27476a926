"""vcpu_op (xen/include/public/vcpu.h) but for the timers."""

from __future__ import annotations

from struct import pack

from vmm.errors import KvmError
from vmm.native import lib
from vmm.xen import abi, vcpus
from vmm.xen.abi import XenError
from vmm.xen.schedop import Shutdown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.call import Call
    from vmm.xen.domain import XenDomain

NO_ADDRESS = (1 << 64) - 1  # INVALID_PADDR


def target_of(domain: XenDomain, call: Call) -> int:
    index = call.params[1] & 0xFFFFFFFF
    domain.ports.check_vcpu(index)
    return index


def _waits(domain: XenDomain, call: Call, index: int) -> bool:
    """For its first SIPI, or for another."""
    state = domain.carry_out(call.vcpu, index, domain.kvm[index].get_mp_state)
    return state in (lib.KVM_MP_STATE_UNINITIALIZED, lib.KVM_MP_STATE_INIT_RECEIVED)


def is_up(domain: XenDomain, call: Call) -> int:
    index = target_of(domain, call)
    return int(not domain.vcpus[index].down and not _waits(domain, call, index))


def up(domain: XenDomain, call: Call) -> int:
    """A vCPU that stood still goes on where it was; one that waits for its SIPI goes on waiting."""
    index = target_of(domain, call)
    if _waits(domain, call, index):
        raise XenError(abi.EINVAL)
    with domain.lock:
        if not domain.vcpus[index].down:
            return 0
        domain.vcpus[index].down = False
        domain.hold(index, False)
    _show_state(domain, call, index)
    return 0


def down(domain: XenDomain, call: Call) -> int:
    """The last one that runs takes the domain with it: the second of two at the same moment."""
    index = target_of(domain, call)
    with domain.lock:
        domain.vcpus[index].down = True
        domain.hold(index, True)
        others = [n for n, vcpu in enumerate(domain.vcpus) if not vcpu.down]
    if all(_waits(domain, call, other) for other in others):
        raise Shutdown(abi.SHUTDOWN_poweroff)
    _show_state(domain, call, index)
    return 0


def _show_state(domain: XenDomain, call: Call, index: int) -> None:
    """On the vCPU's thread, as it is by then: the last word wins."""

    def show() -> None:
        down = domain.vcpus[index].down
        state = abi.RUNSTATE_offline if down else abi.RUNSTATE_running
        domain.backend.vcpu_runstate_now(domain.kvm[index], state)

    domain.carry_out(call.vcpu, index, show)


def get_runstate_info(domain: XenDomain, call: Call) -> int:
    index = target_of(domain, call)
    kvm = domain.kvm[index]
    try:
        state, entry, times = domain.carry_out(
            call.vcpu, index, lambda: domain.backend.vcpu_runstate_times(kvm)
        )
    except KvmError:
        raise XenError(abi.ENOSYS) from None  # a host without scheduler statistics
    lasts = max(domain.backend.now() - entry, 0)  # the state that it is in, up to now
    times = tuple(ns + lasts * (n == state) for n, ns in enumerate(times))
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


def _phys_area(domain: XenDomain, call: Call, size: int, align: int) -> int | None:
    """The same given as a guest-physical address, within a page and aligned."""
    if domain.version < abi.VERSION_PHYS_AREAS:
        raise XenError(abi.ENOSYS)
    (gpa,) = call.read_struct(call.params[2], "<Q")
    if gpa == NO_ADDRESS:
        return None
    if gpa % align or gpa // abi.PAGE != (gpa + size - 1) // abi.PAGE:
        raise XenError(abi.ENXIO)
    try:
        domain.memory.view(gpa, size)
    except (ValueError, OverflowError):
        raise XenError(abi.EINVAL) from None
    return int(gpa)


def register_runstate_memory_area(domain: XenDomain, call: Call) -> int:
    index = target_of(domain, call)
    domain.vcpus[index].runstate = _area(call, _runstate_size(call))
    return _follow(domain, call, index, "runstate")


def register_runstate_phys_area(domain: XenDomain, call: Call) -> int:
    index = target_of(domain, call)
    align = 8 if call.wide else 4
    domain.vcpus[index].runstate = _phys_area(domain, call, _runstate_size(call), align)
    return _follow(domain, call, index, "runstate")


def _runstate_size(call: Call) -> int:
    return abi.RUNSTATE_SIZE if call.wide else abi.RUNSTATE_SIZE32


def register_vcpu_time_memory_area(domain: XenDomain, call: Call) -> int:
    index = target_of(domain, call)
    domain.vcpus[index].time = _area(call, abi.TIME_INFO_SIZE)
    return _follow(domain, call, index, "time")


def register_vcpu_time_phys_area(domain: XenDomain, call: Call) -> int:
    index = target_of(domain, call)
    align = 8 if call.wide else 4
    domain.vcpus[index].time = _phys_area(domain, call, abi.TIME_INFO_SIZE, align)
    return _follow(domain, call, index, "time")


def _follow(domain: XenDomain, call: Call, index: int, what: str) -> int:
    """A place that the back-end will not take is none."""
    try:
        vcpus.follow(domain, call.vcpu, index)
    except XenError:
        setattr(domain.vcpus[index], what, None)
        vcpus.follow(domain, call.vcpu, index)
        raise
    return 0


def register_vcpu_info(domain: XenDomain, call: Call) -> int:
    """Once for each vCPU. What it was told at the old place is copied, and told again."""
    index = target_of(domain, call)
    frame, offset, _reserved = call.read_struct(call.params[2], "<QII")
    if offset > abi.PAGE - abi.VCPU_INFO_SIZE or frame >= 1 << 40:
        raise XenError(abi.EINVAL)
    gpa = frame * abi.PAGE + offset
    own = domain.vcpus[index]
    with domain.lock:
        if own.info is not None:
            raise XenError(abi.EINVAL)
        old = vcpus.info_of(domain, index)
        try:
            size = abi.VCPU_INFO_SIZE
            domain.memory.write(gpa, bytes(size) if old is None else domain.memory.read(old, size))
        except ValueError:
            raise XenError(abi.EINVAL) from None
        own.info = gpa
    _follow(domain, call, index, "info")
    domain.send_again()
    return 0


def send_nmi(domain: XenDomain, call: Call) -> int:
    index = target_of(domain, call)
    if call.params[2]:
        raise XenError(abi.EINVAL)
    domain.carry_out(call.vcpu, index, domain.kvm[index].nmi)
    return 0


def get_physid(domain: XenDomain, call: Call) -> int:
    target_of(domain, call)
    raise XenError(abi.EINVAL)  # no vCPU is bound to a processor


OPS = {
    1: up,
    2: down,
    3: is_up,
    4: get_runstate_info,
    5: register_runstate_memory_area,
    10: register_vcpu_info,
    11: send_nmi,
    12: get_physid,
    13: register_vcpu_time_memory_area,
    14: register_runstate_phys_area,
    15: register_vcpu_time_phys_area,
}
