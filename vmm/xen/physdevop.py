"""physdev_op (xen/include/public/physdev.h): interrupts of devices as event channels (PIRQs).

Without `--xen-pirqs`, and for all that is the control domain's, there is none: ENOSYS.
"""

from __future__ import annotations

from struct import pack

from vmm.xen import abi
from vmm.xen.abi import XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.call import Call
    from vmm.xen.domain import XenDomain
    from vmm.xen.pirqs import PirqTable

MAP = "<H2xiiiiii"  # struct physdev_map_pirq as far as it is used here
NEEDS_EOI = 1  # XENIRQSTAT_needs_eoi


def _table(domain: XenDomain) -> PirqTable:
    if domain.pirqs is None:
        raise XenError(abi.ENOSYS)
    return domain.pirqs


def _check_self(number: int) -> None:
    """A guest may map its own alone, and must say so: ESRCH for no domain, EPERM for any other."""
    if number != abi.DOMID_SELF:
        known = (abi.DOMID_BACKEND, abi.DOMID_GUEST)
        raise XenError(abi.EPERM if number in known else abi.ESRCH)


def map_pirq(domain: XenDomain, call: Call) -> int:
    table = _table(domain)
    target, kind, index, pirq, *_rest = call.read_struct(call.params[1], MAP)
    _check_self(target)
    with domain.lock:
        if not domain.vector and not domain.vcpus[0].vector:
            raise XenError(abi.EINVAL)  # a wire cannot carry other wires
        if kind != abi.MAP_PIRQ_TYPE_GSI:
            raise XenError(abi.EINVAL)  # messages name theirs without
        pirq = table.map_gsi(index, pirq)
    call.write(call.params[1] + 12, pack("<i", pirq))
    return 0


def unmap_pirq(domain: XenDomain, call: Call) -> int:
    table = _table(domain)
    target, pirq = call.read_struct(call.params[1], "<H2xi")
    _check_self(target)
    with domain.lock:
        table.unmap(pirq)
    return 0


def eoi(domain: XenDomain, call: Call) -> int:
    table = _table(domain)
    (pirq,) = call.read_struct(call.params[1], "<I")
    with domain.lock:
        table.eoi(pirq)
    return 0


def irq_status_query(domain: XenDomain, call: Call) -> int:
    """Messages and edges need no word from the guest, which Xen would have it say."""
    table = _table(domain)
    (pirq,) = call.read_struct(call.params[1], "<I")
    with domain.lock:
        if not table.is_known(pirq):
            raise XenError(abi.EINVAL)
        flags = NEEDS_EOI if table.is_level(pirq) else 0
    call.write(call.params[1] + 4, pack("<I", flags))
    return 0


def get_free_pirq(domain: XenDomain, call: Call) -> int:
    table = _table(domain)
    kind, _pirq = call.read_struct(call.params[1], "<iI")
    with domain.lock:
        pirq = table.allocate(kind)
    call.write(call.params[1] + 4, pack("<I", pirq))
    return 0


OPS = {
    5: irq_status_query,
    12: eoi,
    13: map_pirq,
    14: unmap_pirq,
    23: get_free_pirq,
}
