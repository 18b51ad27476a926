"""sched_op (xen/include/public/sched.h). KVM answers yield and poll before we see them."""

from __future__ import annotations

from vmm.xen import abi
from vmm.xen.abi import XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.call import Call
    from vmm.xen.domain import XenDomain

ENDS = (abi.SHUTDOWN_poweroff, abi.SHUTDOWN_reboot, abi.SHUTDOWN_crash)


class Shutdown(Exception):
    """The guest ended itself; `reason` is one of ENDS. Never leaves the hypercall dispatcher."""

    def __init__(self, reason: int) -> None:
        super().__init__(reason)
        self.reason = reason


def sched_yield(domain: XenDomain, call: Call) -> int:
    return 0


def shutdown(domain: XenDomain, call: Call) -> int:
    """Suspend, watchdog and soft reset need somebody outside who goes on from there: EINVAL."""
    (reason,) = call.read_struct(call.params[1], "<I")
    if reason not in ENDS:
        raise XenError(abi.EINVAL)
    raise Shutdown(reason)


OPS = {0: sched_yield, 2: shutdown}
