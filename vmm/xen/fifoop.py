"""event_channel_op of FIFO channels, which are not there."""

from __future__ import annotations

from vmm.xen import abi
from vmm.xen.abi import XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.call import Call
    from vmm.xen.domain import XenDomain

CONTROL_BLOCK = 72  # bytes of struct evtchn_fifo_control_block
PRIORITY_MIN = 15  # EVTCHN_FIFO_PRIORITY_MIN: the largest number


def init_control(domain: XenDomain, call: Call) -> int:
    """FIFO channels are not there, which a guest learns if it asks rightly."""
    _frame, offset, vcpu = call.read_struct(call.params[1], "<QII")
    domain.ports.check_vcpu(vcpu)
    if offset % 8 or offset > abi.PAGE - CONTROL_BLOCK:
        raise XenError(abi.EINVAL)
    raise XenError(abi.ENOSYS)


def expand_array(domain: XenDomain, call: Call) -> int:
    call.read_struct(call.params[1], "<Q")
    raise XenError(abi.EOPNOTSUPP)


def set_priority(domain: XenDomain, call: Call) -> int:
    """Channels of the 2-level kind have none."""
    number, priority = call.read_struct(call.params[1], "<II")
    with domain.lock:
        port = domain.ports.get(number)
    if port is None or priority > PRIORITY_MIN:
        raise XenError(abi.EINVAL)
    raise XenError(abi.ENOSYS)


EVTCHN_OPS = {
    11: init_control,
    12: expand_array,
    13: set_priority,
}
