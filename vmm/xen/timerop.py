"""Timers of vCPUs (xen/include/public/vcpu.h, xen.h). KVM answers once VIRQ_TIMER has a port.

What comes here is set before that, or inside a multicall.
"""

from __future__ import annotations

from vmm.errors import KvmError
from vmm.xen import abi, vcpus
from vmm.xen.abi import XenError
from vmm.xen.vcpuop import target_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.call import Call
    from vmm.xen.domain import XenDomain

FUTURE = 1  # VCPU_SSHOTTMR_future
FAR_BITS = 50  # a delta of so many bits of nanoseconds is an overflow of the guest's
FAR_INSTEAD = 100_000_000  # ns
MIN_PERIOD, MAX_PERIOD = 1_000_000, (1 << 62) - 1  # ns


def set_timer_op(domain: XenDomain, call: Call) -> int:
    """System time in nanoseconds, 0 for none. In 32-bit mode in two arguments."""
    when = call.params[0]
    if not call.wide:
        when |= call.params[1] << 32
    now = domain.backend.now()
    if when >> 63 or when - now >= 1 << FAR_BITS:
        when = now + FAR_INSTEAD
    _arm(domain, call, when)
    return 0


def _arm(domain: XenDomain, call: Call, when: int) -> None:
    """when: 0 stops it. A back-end that is told of no time keeps the one it has for a port that is
    bound anew, so that the port goes first.
    """
    with domain.lock:
        domain.vcpus[call.vcpu].timer = when
    if not when:
        domain.backend.vcpu_timer(domain.kvm[call.vcpu], 0)
    vcpus.apply_timer(domain, call.vcpu)


def set_singleshot_timer(domain: XenDomain, call: Call) -> int:
    index = target_of(domain, call)
    when, flags = call.read_struct(call.params[2], "<QI4x" if call.wide else "<QI")
    if index != call.vcpu:
        raise XenError(abi.EINVAL)
    if flags & FUTURE and when < domain.backend.now():
        raise XenError(abi.ETIME)
    _arm(domain, call, when)
    return 0


def stop_singleshot_timer(domain: XenDomain, call: Call) -> int:
    if target_of(domain, call) != call.vcpu:
        raise XenError(abi.EINVAL)
    _arm(domain, call, 0)
    return 0


def set_periodic_timer(domain: XenDomain, call: Call) -> int:
    index = target_of(domain, call)
    (period,) = call.read_struct(call.params[2], "<Q")
    if not MIN_PERIOD <= period <= MAX_PERIOD:
        raise XenError(abi.EINVAL)
    try:
        domain.periodic.set(index, period)
    except KvmError:  # no descriptor left for it
        raise XenError(abi.ENOMEM) from None
    return 0


def stop_periodic_timer(domain: XenDomain, call: Call) -> int:
    domain.periodic.set(target_of(domain, call), 0)
    return 0


VCPU_OPS = {
    6: set_periodic_timer,
    7: stop_periodic_timer,
    8: set_singleshot_timer,
    9: stop_singleshot_timer,
}
