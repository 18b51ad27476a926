"""grant_table_op (xen/include/public/grant_table.h), version 1 of the table.

Mapping and copying are for domains that serve others; this one has nobody to serve.
"""

from __future__ import annotations

from struct import pack

from vmm.xen import abi
from vmm.xen.abi import XenError
from vmm.xen.grants import FRAMES_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.call import Call
    from vmm.xen.domain import XenDomain

OKAY, GENERAL_ERROR, BAD_DOMAIN, BAD_ADDRESS = 0, -1, -2, -5  # GNTST_*
NO_FRAME = (1 << 64) - 1


def _one(call: Call) -> None:
    """Operations that Xen takes one at a time."""
    if call.params[2] & 0xFFFFFFFF != 1:
        raise XenError(abi.EINVAL)


def _own(number: int) -> bool:
    return number in (abi.DOMID_SELF, abi.DOMID_GUEST)


def query_size(domain: XenDomain, call: Call) -> int:
    _one(call)
    (target,) = call.read_struct(call.params[1], "<H14x")
    with domain.lock:
        frames = len(domain.services.grants.places)
    sizes = (frames, FRAMES_MAX, OKAY) if _own(target) else (0, 0, BAD_DOMAIN)
    call.write(call.params[1] + 4, pack("<IIh", *sizes))
    return 0


def setup_table(domain: XenDomain, call: Call) -> int:
    """Tells where frames lie; those that have no place yet are no page."""
    _one(call)
    layout, word = ("<H2xIh6xQ", 8) if call.wide else ("<H2xIh2xI", 4)
    target, count, _status, frames = call.read_struct(call.params[1], layout)
    status = OKAY
    if not _own(target):
        status = BAD_DOMAIN
    else:
        with domain.lock:
            grants = domain.services.grants
            status = OKAY if grants.grow(count) else GENERAL_ERROR
            places = grants.places[:count]
        if status == OKAY and places:
            status = _tell(call, frames, places, word)
    call.write(call.params[1] + 8, pack("<h", status))
    return 0


def _tell(call: Call, at: int, places: list[int | None], word: int) -> int:
    numbers = [NO_FRAME if place is None else place // abi.PAGE for place in places]
    mask = (1 << 8 * word) - 1
    try:
        call.write(at, b"".join((number & mask).to_bytes(word, "little") for number in numbers))
    except XenError:
        return BAD_ADDRESS
    return OKAY


def set_version(domain: XenDomain, call: Call) -> int:
    """The second version of the table is not there, as in a Xen started with gnttab=max-ver:1."""
    (version,) = call.read_struct(call.params[1], "<I")
    if version not in (1, 2):
        raise XenError(abi.EINVAL)
    call.write(call.params[1], pack("<I", 1))
    if version == 2:
        raise XenError(abi.ENOSYS)
    return 0


def get_version(domain: XenDomain, call: Call) -> int:
    (target,) = call.read_struct(call.params[1], "<H6x")
    if not _own(target):
        raise XenError(abi.EPERM if target == abi.DOMID_BACKEND else abi.ESRCH)
    call.write(call.params[1] + 4, pack("<I", 1))
    return 0


OPS = {2: setup_table, 6: query_size, 8: set_version, 10: get_version}
