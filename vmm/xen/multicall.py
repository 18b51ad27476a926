"""multicall: a list of hypercalls, each with its result written beside it."""

from __future__ import annotations

from struct import pack, unpack

from vmm.xen import abi
from vmm.xen.abi import Again, XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vmm.xen.call import Call
    from vmm.xen.domain import XenDomain

CHUNK = 32  # entries answered before interrupts, kicks and pauses get their turn


def multicall(domain: XenDomain, call: Call, answer: Callable[[XenDomain, Call], int]) -> int:
    """struct multicall_entry: the number, the result, six arguments. `answer` answers one.

    An inner call that is long puts its new arguments into its entry, and the list goes on there.
    """
    layout, width = ("<8Q", 8) if call.wide else ("<8I", 4)
    size, mask = 8 * width, (1 << 8 * width) - 1
    at, left = call.params[0], call.params[1] & 0xFFFFFFFF
    for _ in range(min(left, CHUNK)):
        number, _result, *params = unpack(layout, call.read(at, size))
        try:
            if number == abi.MULTICALL:
                raise XenError(abi.EINVAL)
            result = answer(domain, call.another(number, tuple(params)))
        except XenError as refused:
            result = -refused.number
        except Again as again:
            params[: len(again.params)] = [param & mask for param in again.params]
            call.write(at + 2 * width, pack(f"<6{layout[-1]}", *params))
            raise Again(at, left) from None
        call.write(at + width, pack(f"<{layout[-1]}", result & mask))
        at, left = (at + size) & mask, left - 1
    if left:
        raise Again(at, left)
    return 0
