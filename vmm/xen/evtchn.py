"""The port table of the domain: what each event channel is and whom it tells. Policy alone.

Rules are those of Xen 4.17 (xen/common/event_channel.c) for a domain without privileges. Nothing
here reaches KVM or the guest's memory; `evtchnop.py` makes both follow.
"""

from __future__ import annotations

from vmm.record import Record, replace
from vmm.xen import abi
from vmm.xen.abi import XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Port(Record):
    """One open port. `kind` is an EVTCHNSTAT_*; what the others mean depends on it."""

    kind: int
    vcpu: int = 0  # whom an event tells
    remote: int = (
        0  # unbound: the domain that may bind it; interdomain: the domain at the other end
    )
    peer: int = 0  # interdomain: the port at the other end; 0: a back-end
    virq: int = 0
    pirq: int = 0


class PortTable:
    """Context: the domain's lock."""

    def __init__(self, vcpus: int) -> None:
        self.vcpus = vcpus
        self.limit = 0  # ports below it; 0 is never one
        self._ports: dict[int, Port] = {}
        self._virqs: dict[tuple[int, int], int] = {}  # (virq, vCPU) -> port
        self._lowest = 1  # none below it is free

    def __iter__(self) -> Iterator[tuple[int, Port]]:
        return iter(sorted(self._ports.items()))

    def __len__(self) -> int:
        return len(self._ports)

    def get(self, number: int) -> Port | None:
        """The open port; `None` for one that is closed. EINVAL beyond the limit."""
        if not 0 < number < self.limit:
            raise XenError(abi.EINVAL)
        return self._ports.get(number)

    def virq_port(self, virq: int, vcpu: int) -> int:
        """0: not bound."""
        return self._virqs.get((virq, vcpu), 0)

    def _open(self, port: Port) -> int:
        for number in range(self._lowest, self.limit):
            if number not in self._ports:
                self._ports[number] = port
                self._lowest = number + 1
                return number
        raise XenError(abi.ENOSPC)

    def check_vcpu(self, vcpu: int) -> None:
        if vcpu >= self.vcpus:
            raise XenError(abi.ENOENT)

    def alloc_unbound(self, remote: int) -> int:
        return self._open(Port(kind=abi.EVTCHNSTAT_unbound, remote=remote))

    def bind_interdomain(self, remote: int, remote_port: int) -> int:
        """Only ports of the domain itself can be bound to: back-ends offer none."""
        if remote != abi.DOMID_GUEST:
            raise XenError(abi.EINVAL)
        other = self.get(remote_port)
        if other is None or other.kind != abi.EVTCHNSTAT_unbound or other.remote != remote:
            raise XenError(abi.EINVAL)
        kind = abi.EVTCHNSTAT_interdomain
        number = self._open(Port(kind=kind, remote=remote, peer=remote_port))
        self._ports[remote_port] = Port(kind=kind, vcpu=other.vcpu, remote=remote, peer=number)
        return number

    def open_backend(self) -> int:
        """A channel to a back-end, made for the guest to find."""
        return self._open(Port(kind=abi.EVTCHNSTAT_interdomain, remote=abi.DOMID_BACKEND))

    def bind_backend(self, number: int) -> None:
        """A back-end takes the other end of a port that the guest has kept for it."""
        port = self.get(number)
        if port is None or port.kind != abi.EVTCHNSTAT_unbound or port.remote != abi.DOMID_BACKEND:
            raise XenError(abi.EINVAL)
        self._ports[number] = Port(
            kind=abi.EVTCHNSTAT_interdomain, vcpu=port.vcpu, remote=port.remote
        )

    def leave_backend(self, number: int) -> None:
        """The back-end has left its end."""
        port = self._ports.get(number)
        if port is not None:
            kind = abi.EVTCHNSTAT_unbound
            self._ports[number] = Port(kind=kind, vcpu=port.vcpu, remote=port.remote)

    def bind_virq(self, virq: int, vcpu: int) -> int:
        if virq >= abi.NR_VIRQS or (virq not in abi.VCPU_VIRQS and vcpu):
            raise XenError(abi.EINVAL)
        self.check_vcpu(vcpu)
        if (virq, vcpu) in self._virqs:
            raise XenError(abi.EEXIST)
        number = self._open(Port(kind=abi.EVTCHNSTAT_virq, vcpu=vcpu, virq=virq))
        self._virqs[virq, vcpu] = number
        return number

    def bind_ipi(self, vcpu: int) -> int:
        self.check_vcpu(vcpu)
        return self._open(Port(kind=abi.EVTCHNSTAT_ipi, vcpu=vcpu))

    def bind_pirq(self, pirq: int) -> int:
        return self._open(Port(kind=abi.EVTCHNSTAT_pirq, pirq=pirq))

    def bind_vcpu(self, number: int, vcpu: int) -> Port:
        """The port as it is then."""
        self.check_vcpu(vcpu)
        port = self.get(number)
        movable = (
            abi.EVTCHNSTAT_unbound, abi.EVTCHNSTAT_interdomain, abi.EVTCHNSTAT_virq,
            abi.EVTCHNSTAT_pirq,
        )  # fmt: skip
        if port is None or port.kind not in movable:
            raise XenError(abi.EINVAL)
        if port.kind == abi.EVTCHNSTAT_virq and port.virq in abi.VCPU_VIRQS:
            raise XenError(abi.EINVAL)
        moved = replace(port, vcpu=vcpu)
        self._ports[number] = moved
        return moved

    def close(self, number: int) -> Port:
        """What it was. The other end of an interdomain channel is unbound again."""
        port = self.get(number)
        if port is None:
            raise XenError(abi.EINVAL)
        del self._ports[number]
        self._lowest = min(self._lowest, number)
        if port.kind == abi.EVTCHNSTAT_virq:
            for key in [key for key, bound in self._virqs.items() if bound == number]:
                del self._virqs[key]
        elif port.kind == abi.EVTCHNSTAT_interdomain and port.peer in self._ports:
            other = self._ports[port.peer]
            self._ports[port.peer] = Port(
                kind=abi.EVTCHNSTAT_unbound, vcpu=other.vcpu, remote=port.remote
            )
        return port

    def reset(self) -> None:
        self._ports.clear()
        self._virqs.clear()
        self._lowest = 1
