"""The shared_info page where it moves: no event is lost with the place it was noted in.

Context of all: the domain's lock.
"""

from __future__ import annotations

from vmm.native import lib
from vmm.xen import abi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.domain import XenDomain


def move(domain: XenDomain, old: int | None, gpa: int) -> None:
    """The back-end uses the page at `gpa`, with what was in the one at `old`.

    ValueError or KvmError if it cannot be there.
    """
    page = _first(domain) if old is None else domain.memory.read(old, abi.PAGE)
    if old != gpa:
        domain.memory.write(gpa, page)
    domain.backend.set_shared_info(gpa)
    if old is not None and old != gpa:
        _bring_late_events(domain, old, page)


def _first(domain: XenDomain) -> bytes:
    """Nothing is pending, and every port masked until the guest says otherwise."""
    page, ports = bytearray(abi.PAGE), domain.ports.limit
    at = lib.EVTCHN_MASK64 if domain.backend.wide() else lib.EVTCHN_MASK32
    page[at : at + ports // 8] = b"\xff" * (ports // 8)
    return bytes(page)


def _bring_late_events(domain: XenDomain, old: int, copied: bytes) -> None:
    """Those that were noted in the page at `old` after it was copied."""
    bits = domain.bits()
    bits.page = old
    for number, port in domain.ports:
        known = copied[lib.EVTCHN_PENDING + number // 8] >> number % 8 & 1
        if not known and lib.evtchn_look(bits, number) & 1:
            domain.backend.send(number, port.vcpu)


def send_again(domain: XenDomain) -> None:
    """What is pending and not masked is told once more."""
    bits = domain.bits()
    if bits is None:
        return
    for number, port in domain.ports:
        if lib.evtchn_take(bits, number) == 1:
            domain.backend.send(number, port.vcpu)
