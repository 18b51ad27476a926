"""vm_assist (xen/include/public/xen.h): what the guest has the hypervisor do differently."""

from __future__ import annotations

from vmm.xen import abi
from vmm.xen.abi import XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.call import Call
    from vmm.xen.domain import XenDomain


def vm_assist(domain: XenDomain, call: Call) -> int:
    """Only the update flag of run state areas is for HVM guests."""
    command, kind = call.params[0] & 0xFFFFFFFF, call.params[1] & 0xFFFFFFFF
    if kind != abi.VMASST_TYPE_runstate_update_flag or not domain.backend.has_update_flag:
        raise XenError(abi.EINVAL)
    if command not in (abi.VMASST_enable, abi.VMASST_disable):
        raise XenError(abi.ENOSYS)
    with domain.lock:
        domain.backend.set_update_flag(command == abi.VMASST_enable)
    return 0
