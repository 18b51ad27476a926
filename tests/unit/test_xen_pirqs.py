"""PIRQs: the table, and what physdev_op and bind_pirq answer to arguments good and bad."""

from __future__ import annotations

import random
from struct import pack, unpack
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.test_xen_hypercalls import AT, FakeCall, fake_domain
from vmm.native import lib
from vmm.xen import abi, evtchnop, physdevop
from vmm.xen.abi import XenError
from vmm.xen.evtchn import PortTable
from vmm.xen.physdevop import MAP
from vmm.xen.pirqs import COUNT, GSIS, PirqTable

GSI, MSI = abi.MAP_PIRQ_TYPE_GSI, 0
SELF = abi.DOMID_SELF


class Delivery:
    """Where interrupts go, as the chips and routes would have it."""

    def __init__(self) -> None:
        self.pins: dict[int, tuple[int, int]] = {}
        self.messages: dict[int, tuple[int, int]] = {}
        self.levels: dict[int, int] = {}
        self.served: list[int] = []

    def bind_gsi(self, gsi: int, port: int, vcpu: int) -> None:
        self.pins[gsi] = (port, vcpu)
        if not port:
            del self.pins[gsi]

    def bind_message(self, pirq: int, port: int, vcpu: int) -> None:
        self.messages[pirq] = (port, vcpu)
        if not port:
            del self.messages[pirq]

    def set_level(self, pirq: int, gsi: int | None) -> None:
        self.levels[pirq] = -1 if gsi is None else gsi
        if gsi is None:
            del self.levels[pirq]

    def eoi(self, gsi: int) -> None:
        self.served.append(gsi)


@pytest.fixture
def to() -> Delivery:
    return Delivery()


@pytest.fixture
def domain(to: Delivery) -> Any:
    ports = PortTable(2)
    ports.limit = 64
    backend = SimpleNamespace(
        opened=lambda *_a: None, closed=lambda _n: None, disconnect=lambda _n: None,
        send=lambda *_a: True,
    )  # fmt: skip
    channels = SimpleNamespace(closed=lambda _n: None, reset=lambda: None)
    return fake_domain(
        pirqs=PirqTable(to), ports=ports, backend=backend, vector=0x50, bits=lambda: None,
        vcpus=[SimpleNamespace(vector=0)] * 2, services=SimpleNamespace(channels=channels),
    )  # fmt: skip


def op(domain: Any, number: int, argument: bytes) -> bytes:
    """physdev_op; what the argument is afterwards."""
    call = FakeCall(True, number, AT)
    call.write(AT, argument)
    assert physdevop.OPS[number](domain, call) == 0
    return call.read(AT, len(argument))


def evtchn(domain: Any, number: int, layout: str, *values: int) -> tuple[int, ...]:
    call = FakeCall(True, number, AT)
    call.write(AT, pack(layout, *values))
    assert evtchnop.OPS[number](domain, call) == 0
    return unpack(layout, call.read(AT, len(pack(layout, *values))))


def refusal(error: int) -> pytest.RaisesExc[XenError]:
    return pytest.raises(XenError, match=f"^{error}$")


def map_gsi(domain: Any, gsi: int, pirq: int = -1) -> int:
    return int(unpack(MAP, op(domain, 13, pack(MAP, SELF, GSI, gsi, pirq, 0, 0, 0)))[3])


def bind(domain: Any, pirq: int) -> int:
    return evtchn(domain, 2, "<III", pirq, 0, 0)[2]


def flags(domain: Any, pirq: int) -> int:
    return int(unpack("<II", op(domain, 5, pack("<II", pirq, 0xFF)))[1])


def test_pin_that_is_bound_is_an_event_until_its_port_is_closed(domain: Any, to: Delivery) -> None:
    pirq = map_gsi(domain, 17)
    assert to.pins == {}
    port = bind(domain, pirq)
    assert to.pins == {17: (port, 0)}
    evtchn(domain, 8, "<II", port, 1)
    assert to.pins == {17: (port, 1)}
    kind = evtchn(domain, 5, "<H2xIIIII", SELF, port, 0, 0, 0, 0)
    assert kind[2:5] == (abi.EVTCHNSTAT_pirq, 1, pirq)

    evtchn(domain, 3, "<I", port)

    assert to.pins == {}
    assert to.pins == {} == to.messages
    assert flags(domain, pirq) == 1  # the guest's still


def test_message_goes_where_its_pirq_is_bound(domain: Any, to: Delivery) -> None:
    pirq = unpack("<iI", op(domain, 23, pack("<iI", MSI, 0)))[1]
    assert pirq == COUNT - 1
    port = bind(domain, pirq)
    assert to.messages == {pirq: (port, 0)}
    assert flags(domain, pirq) == 0

    evtchn(domain, 10, "<H", SELF)

    assert to.messages == {}
    assert unpack("<iI", op(domain, 23, pack("<iI", MSI, 0)))[1] == pirq - 1  # not unmapped yet
    op(domain, 14, pack("<H2xi", SELF, pirq))
    assert unpack("<iI", op(domain, 23, pack("<iI", MSI, 0)))[1] == pirq


def test_only_levels_are_to_be_told_as_served(domain: Any, to: Delivery) -> None:
    pirqs = {gsi: map_gsi(domain, gsi) for gsi in (4, 9, 16, GSIS - 1)}
    for gsi, pirq in pirqs.items():
        assert flags(domain, pirq) == (gsi != 4)
        op(domain, 12, pack("<I", pirq))

    assert to.served == [9, 16, GSIS - 1]
    assert to.levels == {pirqs[gsi]: gsi for gsi in to.served}
    for pirq in pirqs.values():
        op(domain, 14, pack("<H2xi", SELF, pirq))
    assert to.levels == {}


def test_what_is_taken_already_stays_as_it_was(domain: Any, to: Delivery) -> None:
    first, second = map_gsi(domain, 17), map_gsi(domain, 18)
    port = bind(domain, first)

    assert map_gsi(domain, 17, 40) == 40  # the pin has another one
    assert map_gsi(domain, 19, first) == first  # the PIRQ has another pin
    assert map_gsi(domain, 17, first) == first

    assert to.pins == {17: (port, 0)}
    with refusal(abi.EINVAL):
        flags(domain, 40)
    assert second != first
    op(domain, 14, pack("<H2xi", SELF, first))
    assert to.pins == {}


@pytest.mark.parametrize(
    ("argument", "error"),
    [
        ((0, GSI, 17, -1), abi.EPERM),
        ((abi.DOMID_GUEST, GSI, 17, -1), abi.EPERM),
        ((4711, GSI, 17, -1), abi.ESRCH),
        ((SELF, MSI, 17, -1), abi.EINVAL),
        ((SELF, 3, 17, -1), abi.EINVAL),
        ((SELF, -1, 17, -1), abi.EINVAL),
        ((SELF, GSI, -1, -1), abi.EINVAL),
        ((SELF, GSI, GSIS, -1), abi.EINVAL),
        ((SELF, GSI, 2**31 - 1, -1), abi.EINVAL),
        ((SELF, GSI, 17, COUNT), abi.EINVAL),
        ((SELF, GSI, 17, 2**31 - 1), abi.EINVAL),
    ],
)
def test_mappings_that_cannot_be(
    domain: Any, to: Delivery, argument: tuple[int, int, int, int], error: int
) -> None:
    with refusal(error):
        op(domain, 13, pack(MAP, *argument, 0, 0, 0))
    assert (to.pins, to.messages) == ({}, {})


def test_wires_cannot_be_events_of_a_guest_that_is_told_by_one(domain: Any) -> None:
    domain.vector = 0
    with refusal(abi.EINVAL):
        map_gsi(domain, 17)
    domain.vcpus[0].vector = 0x51
    assert map_gsi(domain, 17) == 16


@pytest.mark.parametrize("pirq", [COUNT, COUNT + 1, 1 << 31, (1 << 32) - 1])
def test_numbers_that_no_pirq_has(domain: Any, pirq: int) -> None:
    for number in (5, 12):
        with refusal(abi.EINVAL):
            op(domain, number, pack("<II", pirq, 0))
    with refusal(abi.EINVAL):
        bind(domain, pirq)
    op(domain, 14, pack("<H2xI", SELF, pirq))  # nothing is mapped there, which is no error


def test_pirqs_that_nobody_mapped(domain: Any, to: Delivery) -> None:
    for number in (5, 12):
        with refusal(abi.EINVAL):
            op(domain, number, pack("<II", 77, 0))
    port = bind(domain, 77)
    assert to.messages == {77: (port, 0)}
    with refusal(abi.EEXIST):
        bind(domain, 77)
    for target, error in ((0, abi.EPERM), (4711, abi.ESRCH)):
        with refusal(error):
            op(domain, 14, pack("<H2xi", target, 77))
    with refusal(abi.EINVAL):  # devices send to it, not the guest
        evtchn(domain, 4, "<I", port)


def test_there_are_so_many_and_no_more(domain: Any) -> None:
    given = [unpack("<iI", op(domain, 23, pack("<iI", GSI, 0)))[1] for _ in range(COUNT - 16)]
    assert sorted(given) == list(range(16, COUNT))
    for kind in (GSI, MSI, 99):
        with refusal(abi.ENOSPC):
            op(domain, 23, pack("<iI", kind, 0))
    with refusal(abi.EINVAL):
        map_gsi(domain, 5)


def test_without_ports_nothing_is_bound(domain: Any, to: Delivery) -> None:
    for _ in range(63):
        domain.ports.bind_ipi(0)
    with refusal(abi.ENOSPC):
        bind(domain, 77)
    assert to.messages == {}


def test_a_domain_that_is_shown_none_has_no_such_calls(domain: Any) -> None:
    domain.pirqs = None
    for number in physdevop.OPS:
        with refusal(abi.ENOSYS):
            op(domain, number, bytes(64))
    with refusal(abi.ENOSYS):
        bind(domain, 20)


def test_delivery_is_what_the_table_says_after_anything(domain: Any, to: Delivery) -> None:
    dice = random.Random(4)
    bound: dict[int, int] = {}
    for _ in range(3000):
        pirq = dice.randrange(16, 24)
        try:
            match dice.randrange(5):
                case 0:
                    map_gsi(domain, dice.randrange(16, 20), dice.choice((-1, pirq)))
                case 1:
                    bound[pirq] = bind(domain, pirq)
                case 2:
                    evtchn(domain, 3, "<I", bound.pop(pirq, 0))
                case 3:
                    op(domain, 14, pack("<H2xi", SELF, pirq))
                case 4:
                    op(domain, 12, pack("<I", pirq))
        except XenError:
            pass
        ports = [port for port, _vcpu in (*to.pins.values(), *to.messages.values())]
        assert sorted(ports) == sorted(bound.values())
        assert not set(to.messages) - set(bound)
    domain.pirqs.reset()
    assert (to.pins, to.messages) == ({}, {})
    assert lib.ROUTER_PIRQS == COUNT
