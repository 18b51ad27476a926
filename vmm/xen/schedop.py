"""sched_op (xen/include/public/sched.h). KVM answers yield and poll before we see them."""

from __future__ import annotations

from vmm.errors import KvmError
from vmm.native import lib
from vmm.xen import abi
from vmm.xen.abi import XenError
from vmm.xen.memoryop import check_domain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.call import Call
    from vmm.xen.domain import XenDomain

ENDS = (
    abi.SHUTDOWN_poweroff, abi.SHUTDOWN_reboot, abi.SHUTDOWN_crash, abi.SHUTDOWN_watchdog,
    abi.SHUTDOWN_soft_reset,
)  # fmt: skip
POLL_MAX = 128  # ports
RFLAGS_IF = 1 << 9


class Shutdown(Exception):
    """The guest ended itself; `reason` is one of ENDS. Never leaves the hypercall dispatcher."""

    def __init__(self, reason: int) -> None:
        super().__init__(reason)
        self.reason = reason


def sched_yield(domain: XenDomain, call: Call) -> int:
    return 0


def block(domain: XenDomain, call: Call) -> int:
    """The vCPU sleeps until an event or an interrupt waits for it. KVM looks before it sleeps.

    With interrupts shut out KVM would not wake it: then it does not sleep.
    """
    kvm = domain.kvm[call.vcpu]
    if kvm.get_regs().rflags & RFLAGS_IF:
        kvm.set_mp_state(lib.KVM_MP_STATE_HALTED)
    return 0


def poll(domain: XenDomain, call: Call) -> int:
    """Only from inside a multicall, or to be refused; may end before anything has come."""
    layout = "<QI4xQ" if call.wide else "<IIQ"
    ports, count, _timeout = call.read_struct(call.params[1], layout)
    if count > POLL_MAX:
        raise XenError(abi.EINVAL)
    numbers = call.read_struct(ports, f"<{count}I") if count else ()
    if any(number >= domain.ports.limit for number in numbers):
        raise XenError(abi.EINVAL)
    return 0


def shutdown(domain: XenDomain, call: Call) -> int:
    """Suspend needs somebody outside who goes on from there: EINVAL."""
    (reason,) = call.read_struct(call.params[1], "<I")
    if domain.shutdown_code is not None:
        reason = domain.shutdown_code
    if reason not in ENDS:
        raise XenError(abi.EINVAL)
    raise Shutdown(reason)


def shutdown_code(domain: XenDomain, call: Call) -> int:
    """What the next shutdown is taken for, whatever it says. The first one stays."""
    (reason,) = call.read_struct(call.params[1], "<I")
    if domain.shutdown_code is None:
        domain.shutdown_code = reason & 0xFF
    return 0


def remote_shutdown(domain: XenDomain, call: Call) -> int:
    """Of a domain that one serves: never of oneself."""
    target, _reason = call.read_struct(call.params[1], "<H2xI")
    check_domain(target)
    raise XenError(abi.EPERM)


def watchdog(domain: XenDomain, call: Call) -> int:
    """The number of a new one for 0, else 0."""
    number, seconds = call.read_struct(call.params[1], "<II")
    try:
        return domain.watchdogs.set(number, seconds)
    except KvmError:  # no descriptor left for it
        raise XenError(abi.ENOMEM) from None


def pin_override(domain: XenDomain, call: Call) -> int:
    raise XenError(abi.EPERM)  # of the hardware domain only


OPS = {
    0: sched_yield,
    1: block,
    2: shutdown,
    3: poll,
    4: remote_shutdown,
    5: shutdown_code,
    6: watchdog,
    7: pin_override,
}
