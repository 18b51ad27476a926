"""memory_op (xen/include/public/memory.h)."""

from __future__ import annotations

from struct import calcsize, pack

from vmm.xen import abi
from vmm.xen.abi import Again, XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vmm.xen.call import Call
    from vmm.xen.domain import XenDomain

XENMAPSPACE_shared_info, XENMAPSPACE_grant_table = 0, 1
FRAME_BITS = 40  # of a frame number: beyond lies nothing
MAX_ORDER = 9  # of an extent: 2 MiB
CHUNK = 128  # extents dealt with before interrupts, kicks and pauses get their turn
CONTINUATION = 6  # above it in the first argument: where a call that was interrupted goes on


def check_domain(number: int) -> None:
    """The guest may speak of itself only: ESRCH for no domain, EPERM for another."""
    if number in (abi.DOMID_SELF, abi.DOMID_GUEST):
        return
    raise XenError(abi.EPERM if number == abi.DOMID_BACKEND else abi.ESRCH)


def _map(domain: XenDomain, call: Call, space: int, index: int, frame: int) -> None:
    if frame >= 1 << FRAME_BITS:
        raise XenError(abi.EINVAL)
    if space == XENMAPSPACE_shared_info and not index:
        domain.map_shared_info(call.vcpu, frame * abi.PAGE)
    elif space == XENMAPSPACE_grant_table:
        with domain.lock:
            domain.services.grants.place(index, frame * abi.PAGE)
    else:
        raise XenError(abi.EINVAL)


def _at_once(call: Call) -> None:
    """Nothing that is interrupted: what says that it has been is refused."""
    if call.params[0] >> CONTINUATION:
        raise XenError(abi.EINVAL)


def add_to_physmap(domain: XenDomain, call: Call) -> int:
    _at_once(call)
    layout = "<HHIQQ" if call.wide else "<HHIII"
    target, _size, space, index, frame = call.read_struct(call.params[1], layout)
    check_domain(target)
    _map(domain, call, space, index, frame)
    return 0


def add_to_physmap_batch(domain: XenDomain, call: Call) -> int:
    """Each with its own error, in a list of the guest's."""
    layout, word = ("<HHHHQQQ", "Q") if call.wide else ("<HHHHIII", "I")
    target, space, size, extra, *lists = call.read_struct(call.params[1], layout)
    start = call.params[0] >> CONTINUATION
    if extra or start > size:
        raise XenError(abi.EINVAL)
    check_domain(target)
    width = calcsize(word)
    for place in range(start, min(size, start + CHUNK)):
        (index,) = call.read_struct(lists[0] + place * width, f"<{word}")
        (frame,) = call.read_struct(lists[1] + place * width, f"<{word}")
        error = 0
        try:
            _map(domain, call, space, index, frame)
        except XenError as refused:
            error = refused.number
        call.write(lists[2] + place * 4, pack("<i", -error))
    if start + CHUNK < size:
        raise Again(23 | start + CHUNK << CONTINUATION, call.params[1])
    return 0


def remove_from_physmap(domain: XenDomain, call: Call) -> int:
    _at_once(call)
    target, frame = call.read_struct(call.params[1], "<H6xQ" if call.wide else "<H2xI")
    check_domain(target)
    with domain.lock:
        if not domain.reservation.give(frame, 1):
            raise XenError(abi.ENOENT)
    return 0


def _reserve(domain: XenDomain, call: Call, change: Callable[[int, int], bool]) -> int:
    """How many extents were dealt with, from the list's beginning: no error ever.

    change(frame, pages) deals with one, or not.
    """
    done = call.params[0] >> CONTINUATION
    try:
        layout, word = ("<QQIIH", "Q") if call.wide else ("<IIIIH", "I")
        start, count, order, _flags, target = call.read_struct(call.params[1], layout)
        check_domain(target)
        if count >> 32 - CONTINUATION or done >= count or order > MAX_ORDER:
            return done
        for place in range(done, min(count, done + CHUNK)):
            at = start + place * calcsize(word)
            (frame,) = call.read_struct(at, f"<{word}")
            with domain.lock:
                if not change(frame, 1 << order):
                    return place
        done = min(count, done + CHUNK)
    except XenError:
        return done
    if done < count:
        raise Again(call.params[0] & (1 << CONTINUATION) - 1 | done << CONTINUATION, call.params[1])
    return done


def increase_reservation(domain: XenDomain, call: Call) -> int:
    """Memory that lies nowhere yet: a guest whose frames are translated has no use for it."""
    return _reserve(domain, call, lambda _frame, _pages: False)


def decrease_reservation(domain: XenDomain, call: Call) -> int:
    return _reserve(domain, call, domain.reservation.give)


def populate_physmap(domain: XenDomain, call: Call) -> int:
    return _reserve(domain, call, domain.reservation.take)


def exchange(domain: XenDomain, call: Call) -> int:
    raise XenError(abi.EOPNOTSUPP)  # of guests whose frames are not translated


def claim_pages(domain: XenDomain, call: Call) -> int:
    raise XenError(abi.EPERM)  # of the control domain only


def memory_map(domain: XenDomain, call: Call) -> int:
    """Of the areas that the guest's kernel was told of as many as it has room for."""
    _at_once(call)
    layout = "<I4xQ" if call.wide else "<II"
    room, buffer = call.read_struct(call.params[1], layout)
    areas = domain.memory_map()[:room]
    if areas:
        call.write(buffer, b"".join(pack("<QQI", *area) for area in areas))
    call.write(call.params[1], pack("<I", len(areas)))
    return 0


def machine_memory_map(domain: XenDomain, call: Call) -> int:
    raise XenError(abi.EPERM)  # of the control domain only


def maximum_ram_page(domain: XenDomain, call: Call) -> int:
    """The machine's highest page, which is the domain's."""
    _at_once(call)
    return domain.reservation.top


def _named(call: Call) -> None:
    _at_once(call)
    (target,) = call.read_struct(call.params[1], "<H")
    check_domain(target)


def maximum_gpfn(domain: XenDomain, call: Call) -> int:
    _named(call)
    return domain.reservation.top


def current_reservation(domain: XenDomain, call: Call) -> int:
    _named(call)
    with domain.lock:
        return domain.reservation.total - domain.reservation.given_back


def maximum_reservation(domain: XenDomain, call: Call) -> int:
    _named(call)
    return domain.reservation.total


OPS = {
    0: increase_reservation,
    1: decrease_reservation,
    2: maximum_ram_page,
    3: current_reservation,
    4: maximum_reservation,
    6: populate_physmap,
    7: add_to_physmap,
    9: memory_map,
    10: machine_memory_map,
    11: exchange,
    14: maximum_gpfn,
    15: remove_from_physmap,
    23: add_to_physmap_batch,
    24: claim_pages,
}
