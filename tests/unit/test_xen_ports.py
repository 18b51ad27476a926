"""The port table of a Xen domain: who may bind what, and with which error it is refused."""

from __future__ import annotations

import pytest

from vmm.xen import abi
from vmm.xen.abi import XenError
from vmm.xen.evtchn import PortTable

LIMIT = 64


@pytest.fixture
def ports() -> PortTable:
    table = PortTable(2)
    table.limit = LIMIT
    return table


def refusal(error: int) -> pytest.RaisesExc[XenError]:
    return pytest.raises(XenError, match=f"^{error}$")


def test_ports_are_given_out_from_one_on_and_lowest_first(ports: PortTable) -> None:
    assert [ports.bind_ipi(0) for _ in range(3)] == [1, 2, 3]
    ports.close(2)

    assert ports.bind_ipi(1) == 2
    assert ports.bind_ipi(1) == 4


def test_one_more_than_there_are_is_refused(ports: PortTable) -> None:
    for _ in range(LIMIT - 1):
        ports.alloc_unbound(abi.DOMID_BACKEND)

    with refusal(abi.ENOSPC):
        ports.alloc_unbound(abi.DOMID_BACKEND)
    with refusal(abi.ENOSPC):
        ports.bind_virq(abi.VIRQ_TIMER, 0)
    assert ports.virq_port(abi.VIRQ_TIMER, 0) == 0


@pytest.mark.parametrize("number", [0, -1, LIMIT, 1 << 31, (1 << 32) - 1])
def test_numbers_that_no_port_can_have(ports: PortTable, number: int) -> None:
    for refused in (ports.get, ports.close, lambda n: ports.bind_vcpu(n, 0)):
        with refusal(abi.EINVAL):
            refused(number)
    with refusal(abi.EINVAL):
        ports.bind_interdomain(abi.DOMID_GUEST, number)


def test_closed_port_cannot_be_closed_again(ports: PortTable) -> None:
    number = ports.bind_ipi(0)
    ports.close(number)

    with refusal(abi.EINVAL):
        ports.close(number)


def test_virq_of_each_vcpu_is_bound_once(ports: PortTable) -> None:
    first = ports.bind_virq(abi.VIRQ_TIMER, 0)
    second = ports.bind_virq(abi.VIRQ_TIMER, 1)

    with refusal(abi.EEXIST):
        ports.bind_virq(abi.VIRQ_TIMER, 1)
    ports.close(second)
    assert ports.virq_port(abi.VIRQ_TIMER, 1) == 0
    assert ports.virq_port(abi.VIRQ_TIMER, 0) == first


@pytest.mark.parametrize(
    ("virq", "vcpu", "error"),
    [(24, 0, abi.EINVAL), (2, 1, abi.EINVAL), (0, 2, abi.ENOENT), (0, 1 << 31, abi.ENOENT)],
)
def test_virqs_that_are_refused(ports: PortTable, virq: int, vcpu: int, error: int) -> None:
    with refusal(error):
        ports.bind_virq(virq, vcpu)


def test_ends_of_a_channel_know_each_other(ports: PortTable) -> None:
    one = ports.alloc_unbound(abi.DOMID_GUEST)
    two = ports.bind_interdomain(abi.DOMID_GUEST, one)

    ends = [ports.get(one), ports.get(two)]
    assert [end and (end.kind, end.peer) for end in ends] == [
        (abi.EVTCHNSTAT_interdomain, two),
        (abi.EVTCHNSTAT_interdomain, one),
    ]
    with refusal(abi.EINVAL):
        ports.bind_interdomain(abi.DOMID_GUEST, one)


def test_closing_one_end_leaves_the_other_unbound(ports: PortTable) -> None:
    one = ports.alloc_unbound(abi.DOMID_GUEST)
    two = ports.bind_interdomain(abi.DOMID_GUEST, one)
    ports.close(two)

    left = ports.get(one)
    assert left is not None
    assert left.kind == abi.EVTCHNSTAT_unbound
    assert ports.bind_interdomain(abi.DOMID_GUEST, one) == two


def test_port_kept_for_the_backend_is_not_for_the_guest(ports: PortTable) -> None:
    kept = ports.alloc_unbound(abi.DOMID_BACKEND)

    with refusal(abi.EINVAL):
        ports.bind_interdomain(abi.DOMID_GUEST, kept)
    with refusal(abi.EINVAL):
        ports.bind_interdomain(abi.DOMID_BACKEND, kept)


def test_only_what_tells_no_vcpu_in_particular_moves(ports: PortTable) -> None:
    unbound, ipi = ports.alloc_unbound(0), ports.bind_ipi(0)
    timer, console = ports.bind_virq(abi.VIRQ_TIMER, 0), ports.bind_virq(2, 0)

    assert ports.bind_vcpu(unbound, 1).vcpu == 1
    assert ports.bind_vcpu(console, 1).vcpu == 1
    for fixed in (ipi, timer):
        with refusal(abi.EINVAL):
            ports.bind_vcpu(fixed, 1)
    with refusal(abi.ENOENT):
        ports.bind_vcpu(unbound, 2)


def test_reset_closes_everything(ports: PortTable) -> None:
    ports.bind_virq(abi.VIRQ_TIMER, 0)
    ports.reset()

    assert list(ports) == []
    assert ports.bind_virq(abi.VIRQ_TIMER, 0) == 1


def test_backend_takes_and_leaves_the_port_kept_for_it(ports: PortTable) -> None:
    kept, own = ports.alloc_unbound(abi.DOMID_BACKEND), ports.alloc_unbound(abi.DOMID_GUEST)
    ports.bind_vcpu(kept, 1)
    ports.bind_backend(kept)

    for number in (kept, own, kept + 9):
        with refusal(abi.EINVAL):
            ports.bind_backend(number)
    bound = ports.get(kept)
    assert bound is not None
    assert (bound.kind, bound.remote, bound.vcpu) == (abi.EVTCHNSTAT_interdomain, 0, 1)
    ports.leave_backend(kept)
    ports.bind_backend(kept)
    assert ports.close(kept).peer == 0
    ports.leave_backend(kept)
    assert ports.get(kept) is None
    assert ports.get(own) is not None


def test_port_made_for_the_guest_to_find(ports: PortTable) -> None:
    number = ports.open_backend()

    assert ports.bind_vcpu(number, 1).vcpu == 1
    with refusal(abi.EINVAL):
        ports.bind_interdomain(abi.DOMID_BACKEND, number)
