"""event_channel_op (xen/include/public/event_channel.h): the port table, and KVM after it.

KVM sends to the domain's own ports by itself; what comes here is what it does not know of.
"""

from __future__ import annotations

from struct import pack

from vmm.errors import KvmError
from vmm.native import lib
from vmm.xen import abi, fifoop, vcpus
from vmm.xen.abi import XenError
from vmm.xen.channel import serves
from vmm.xen.memoryop import check_domain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.call import Call
    from vmm.xen.domain import XenDomain
    from vmm.xen.evtchn import Port


def _peer(number: int) -> int:
    """Which domain the guest means."""
    if number in (abi.DOMID_SELF, abi.DOMID_GUEST):
        return abi.DOMID_GUEST
    if number != abi.DOMID_BACKEND:
        raise XenError(abi.ESRCH)
    return number


def connect(domain: XenDomain, number: int) -> None:
    """Has KVM send by itself what it can. The lock is held."""
    port = domain.ports.get(number)
    if port is None:
        return domain.backend.disconnect(number)
    if serves(port):
        return domain.services.channels.follow(number)
    if port.kind == abi.EVTCHNSTAT_pirq:
        assert domain.pirqs is not None
        return domain.pirqs.bind(port.pirq, number, port.vcpu)
    try:
        if port.kind == abi.EVTCHNSTAT_ipi:
            return domain.backend.connect(number, port.kind, number, port.vcpu)
        other = domain.ports.get(port.peer) if port.kind == abi.EVTCHNSTAT_interdomain else None
        if other is not None:
            return domain.backend.connect(number, port.kind, port.peer, other.vcpu)
        return domain.backend.disconnect(number)
    except KvmError:  # no memory for one more: it stays a hypercall for send()
        return None


def alloc_unbound(domain: XenDomain, call: Call) -> int:
    target, remote, _port = call.read_struct(call.params[1], "<HHI")
    check_domain(target)
    remote = _peer(remote)
    with domain.lock:
        number = domain.ports.alloc_unbound(remote)
        domain.backend.opened(number, 0)
    return _tell(domain, call, 4, number)


def _tell(domain: XenDomain, call: Call, at: int, number: int) -> int:
    """Writes the new port into the argument; one that the guest cannot learn of is closed."""
    try:
        call.write(call.params[1] + at, pack("<I", number))
    except XenError:
        _close(domain, call, number)
        raise
    return 0


def bind_interdomain(domain: XenDomain, call: Call) -> int:
    remote, remote_port, _local = call.read_struct(call.params[1], "<H2xII")
    remote = _peer(remote)
    with domain.lock:
        number = domain.ports.bind_interdomain(remote, remote_port)
        domain.backend.opened(number, 0)
        connect(domain, number)
        connect(domain, remote_port)
    result = _tell(domain, call, 8, number)
    with domain.lock:
        domain.backend.send(number, 0)  # an event that came before it was bound would be lost
    return result


def bind_virq(domain: XenDomain, call: Call) -> int:
    virq, vcpu, _port = call.read_struct(call.params[1], "<III")
    with domain.lock:
        number = domain.ports.bind_virq(virq, vcpu)
        domain.backend.opened(number, vcpu)
    result = _tell(domain, call, 8, number)
    _follow_timer(domain, call, virq, vcpu)
    return result


def _follow_timer(domain: XenDomain, call: Call, virq: int, vcpu: int) -> None:
    if virq == abi.VIRQ_TIMER:
        vcpus.follow_timer(domain, call.vcpu, vcpu)


def bind_pirq(domain: XenDomain, call: Call) -> int:
    pirq, _flags, _port = call.read_struct(call.params[1], "<III")
    if domain.pirqs is None:
        raise XenError(abi.ENOSYS)
    with domain.lock:
        domain.pirqs.check_bind(pirq)
        number = domain.ports.bind_pirq(pirq)
        domain.backend.opened(number, 0)
        try:
            connect(domain, number)
        except KvmError:
            domain.ports.close(number)
            domain.pirqs.unbind(pirq)
            raise
    return _tell(domain, call, 8, number)


def bind_ipi(domain: XenDomain, call: Call) -> int:
    vcpu, _port = call.read_struct(call.params[1], "<II")
    with domain.lock:
        number = domain.ports.bind_ipi(vcpu)
        domain.backend.opened(number, vcpu)
        connect(domain, number)
    return _tell(domain, call, 4, number)


def bind_vcpu(domain: XenDomain, call: Call) -> int:
    number, vcpu = call.read_struct(call.params[1], "<II")
    with domain.lock:
        before = domain.ports.get(number)
        port = domain.ports.bind_vcpu(number, vcpu)
        domain.backend.opened(number, vcpu)
        try:
            if port.kind in (abi.EVTCHNSTAT_interdomain, abi.EVTCHNSTAT_pirq):
                connect(domain, port.peer or number)
        except KvmError:  # it goes on telling the one that it told
            assert before is not None
            domain.ports.bind_vcpu(number, before.vcpu)
            domain.backend.opened(number, before.vcpu)
            raise
        bits = domain.bits()
        if bits is not None and lib.evtchn_take(bits, number) == 1:
            domain.backend.send(number, vcpu)
    return 0


def close(domain: XenDomain, call: Call) -> int:
    (number,) = call.read_struct(call.params[1], "<I")
    _close(domain, call, number)
    return 0


def _close(domain: XenDomain, call: Call, number: int) -> None:
    with domain.lock:
        port = domain.ports.close(number)
        domain.backend.closed(number)
        domain.services.channels.closed(number)
        if port.kind == abi.EVTCHNSTAT_pirq and domain.pirqs is not None:
            domain.pirqs.unbind(port.pirq)
        if port.kind == abi.EVTCHNSTAT_interdomain:
            domain.backend.disconnect(port.peer)
        bits = domain.bits()
        if bits is not None:
            lib.evtchn_clear_pending(bits, number)
    if port.kind == abi.EVTCHNSTAT_virq:
        _follow_timer(domain, call, port.virq, port.vcpu)


def send(domain: XenDomain, call: Call) -> int:
    """What is sent to a port that nobody bound is lost, without an error."""
    (number,) = call.read_struct(call.params[1], "<I")
    with domain.lock:
        port = domain.ports.get(number)
        if port is None or port.kind in (abi.EVTCHNSTAT_virq, abi.EVTCHNSTAT_pirq):
            raise XenError(abi.EINVAL)
        if port.kind == abi.EVTCHNSTAT_ipi:
            domain.backend.send(number, port.vcpu)
        elif serves(port):
            domain.services.channels.kick(number)
        elif port.kind == abi.EVTCHNSTAT_interdomain:
            other = domain.ports.get(port.peer)
            if other is not None:
                domain.backend.send(port.peer, other.vcpu)
    return 0


def status(domain: XenDomain, call: Call) -> int:
    target, number = call.read_struct(call.params[1], "<H2xI16x")
    check_domain(target)
    with domain.lock:
        port = domain.ports.get(number)
    call.write(call.params[1] + 8, _describe(port))
    return 0


def _describe(port: Port | None) -> bytes:
    """The last 16 bytes of struct evtchn_status."""
    if port is None:
        return pack("<IIQ", abi.EVTCHNSTAT_closed, 0, 0)
    if port.kind in (abi.EVTCHNSTAT_virq, abi.EVTCHNSTAT_pirq):
        return pack("<IIII", port.kind, port.vcpu, port.virq or port.pirq, 0)
    return pack("<IIH2xI", port.kind, port.vcpu, port.remote, port.peer)


def unmask(domain: XenDomain, call: Call) -> int:
    (number,) = call.read_struct(call.params[1], "<I")
    with domain.lock:
        port = domain.ports.get(number)
        if port is None:
            raise XenError(abi.EINVAL)
        bits = domain.bits()
        if bits is not None and lib.evtchn_unmask(bits, number) == 1:
            domain.backend.send(number, port.vcpu)
    return 0


def reset(domain: XenDomain, call: Call) -> int:
    """Closes every port, also those that a layout with fewer of them has left behind."""
    (target,) = call.read_struct(call.params[1], "<H")
    check_domain(target)
    with domain.lock:
        open_ports = list(domain.ports)
        domain.ports.reset()
        domain.services.channels.reset()
        bits = domain.bits()
        for number, port in open_ports:
            domain.backend.closed(number)
            if port.kind == abi.EVTCHNSTAT_pirq and domain.pirqs is not None:
                domain.pirqs.unbind(port.pirq)
            if bits is not None:
                lib.evtchn_clear_pending(bits, number)
    for _number, port in open_ports:
        if port.kind == abi.EVTCHNSTAT_virq:
            _follow_timer(domain, call, port.virq, port.vcpu)
    return 0


OPS = {
    0: bind_interdomain,
    1: bind_virq,
    2: bind_pirq,
    3: close,
    4: send,
    5: status,
    6: alloc_unbound,
    7: bind_ipi,
    8: bind_vcpu,
    9: unmask,
    10: reset,
    **fifoop.EVTCHN_OPS,
}
