"""memory_op (xen/include/public/memory.h)."""

from __future__ import annotations

from vmm.xen import abi
from vmm.xen.abi import XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.call import Call
    from vmm.xen.domain import XenDomain

XENMAPSPACE_shared_info, XENMAPSPACE_grant_table = 0, 1
CONTINUATION = 6  # above it in the first argument: where a call that was interrupted goes on


def check_domain(number: int) -> None:
    """The guest may speak of itself only: ESRCH for no domain, EPERM for another."""
    if number in (abi.DOMID_SELF, abi.DOMID_GUEST):
        return
    raise XenError(abi.EPERM if number == abi.DOMID_BACKEND else abi.ESRCH)


def add_to_physmap(domain: XenDomain, call: Call) -> int:
    if call.params[0] >> CONTINUATION:
        raise XenError(abi.EINVAL)
    layout = "<HHIQQ" if call.wide else "<HHIII"
    target, _size, space, index, frame = call.read_struct(call.params[1], layout)
    check_domain(target)
    if frame >= 1 << 40:
        raise XenError(abi.EINVAL)
    if space == XENMAPSPACE_shared_info and not index:
        domain.map_shared_info(call.vcpu, frame * abi.PAGE)
    elif space == XENMAPSPACE_grant_table:
        with domain.lock:
            domain.services.grants.place(index, frame * abi.PAGE)
    else:
        raise XenError(abi.EINVAL)
    return 0


def _pages(domain: XenDomain, call: Call) -> int:
    (target,) = call.read_struct(call.params[1], "<H")
    check_domain(target)
    return domain.ram // abi.PAGE


def current_reservation(domain: XenDomain, call: Call) -> int:
    return _pages(domain, call)


def maximum_reservation(domain: XenDomain, call: Call) -> int:
    return _pages(domain, call)


OPS = {3: current_reservation, 4: maximum_reservation, 7: add_to_physmap}
