"""The PIRQs of the domain: interrupts of devices that are event channels. Policy alone.

Rules are those of Xen 4.17 (xen/arch/x86/{irq,physdev}.c) for an HVM domain whose devices are
emulated: a PIRQ stands for a GSI, or for what messages with vector 0 name.
"""

from __future__ import annotations

from vmm.native import lib
from vmm.record import Record
from vmm.xen import abi
from vmm.xen.abi import XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Deliver(Protocol):
        """Who brings them to the guest. KvmError where the kernel refuses."""

        def bind_gsi(self, gsi: int, port: int, vcpu: int) -> None:
            """The pin's interrupts are events of `port`; port 0: they go to the chips again."""

        def bind_message(self, pirq: int, port: int, vcpu: int) -> None:
            """Messages that name the PIRQ are events of `port`; port 0: they are lost."""

        def set_level(self, pirq: int, gsi: int | None) -> None:
            """The PIRQ is the pin's level, and may be served without us; `None`: no level's."""

        def eoi(self, gsi: int) -> None:
            """The guest has served the pin: another event if it is up still."""


COUNT: int = lib.ROUTER_PIRQS
GSIS: int = lib.IRQ_HUB_GSIS
ISA_GSIS, SCI = 16, 9  # those below are edges, but for the interrupt of ACPI


class Pirq(Record):
    """One that is in use."""

    gsi: int | None = None  # the pin it stands for
    port: int = 0
    vcpu: int = 0  # whom the port tells


def _is_level(pirq: Pirq) -> bool:
    return pirq.gsi is not None and (pirq.gsi >= ISA_GSIS or pirq.gsi == SCI)


class PirqTable:
    """Context: the domain's lock."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._pirqs: dict[int, Pirq] = {}

    def _check(self, pirq: int) -> None:
        if not 0 <= pirq < COUNT:
            raise XenError(abi.EINVAL)

    def _first_free(self, kind: int) -> int | None:
        pins = range(ISA_GSIS, GSIS) if kind == abi.MAP_PIRQ_TYPE_GSI else range(0)
        candidates: list[int] = [*pins, *range(COUNT - 1, GSIS - 1, -1)]
        return next((pirq for pirq in candidates if pirq not in self._pirqs), None)

    def allocate(self, kind: int) -> int:
        """One that nobody uses, for a guest that will name it."""
        pirq = self._first_free(kind)
        if pirq is None:
            raise XenError(abi.ENOSPC)
        self._pirqs[pirq] = Pirq()
        return pirq

    def map_gsi(self, gsi: int, pirq: int) -> int:
        """The PIRQ for a pin; `pirq` < 0: any. One of both that is taken already changes nothing,
        which Xen calls success.
        """
        if not 0 <= gsi < GSIS:
            raise XenError(abi.EINVAL)
        if pirq < 0:
            found = self._first_free(abi.MAP_PIRQ_TYPE_GSI)
            pirq = -abi.ENOSPC if found is None else found
        self._check(pirq)
        old = self._pirqs.get(pirq, Pirq())
        taken = any(other.gsi == gsi for n, other in self._pirqs.items() if n != pirq)
        if not taken and old.gsi in (None, gsi):
            self._pirqs[pirq] = Pirq(gsi=gsi, port=old.port, vcpu=old.vcpu)
            self._follow(pirq, old)
        return pirq

    def unmap(self, pirq: int) -> None:
        """What is not mapped is left alone, whatever its number."""
        old = self._pirqs.get(pirq)
        if old is None:
            return
        if old.port:
            self._pirqs[pirq] = Pirq(port=old.port, vcpu=old.vcpu)
        else:
            del self._pirqs[pirq]
        self._follow(pirq, old)

    def is_known(self, pirq: int) -> bool:
        """Whether it stands for something. EINVAL beyond the last."""
        self._check(pirq)
        return pirq in self._pirqs

    def is_level(self, pirq: int) -> bool:
        """Whether the guest has to say when it has served it."""
        return _is_level(self._pirqs[pirq])

    def check_bind(self, pirq: int) -> None:
        """Whether a port may be bound to it: EINVAL beyond the last, EEXIST for a second one."""
        self._check(pirq)
        if self._pirqs.get(pirq, Pirq()).port:
            raise XenError(abi.EEXIST)

    def bind(self, pirq: int, port: int, vcpu: int) -> None:
        """Its interrupts are events of `port` from here on; again when its vCPU has changed."""
        old = self._pirqs.get(pirq, Pirq())
        self._pirqs[pirq] = Pirq(gsi=old.gsi, port=port, vcpu=vcpu)
        self._follow(pirq, old)

    def unbind(self, pirq: int) -> None:
        """Its port was closed. It stays the guest's until that unmaps it."""
        old = self._pirqs.get(pirq, Pirq())
        self._pirqs[pirq] = Pirq(gsi=old.gsi)
        self._follow(pirq, old)

    def _follow(self, pirq: int, old: Pirq) -> None:
        """Delivery is brought in line with the table."""
        now = self._pirqs.get(pirq, Pirq())
        if old.gsi is not None and old.gsi != now.gsi:
            self._deliver.bind_gsi(old.gsi, 0, 0)
        if now.gsi is not None:
            self._deliver.bind_gsi(now.gsi, now.port, now.vcpu)
        self._deliver.set_level(pirq, now.gsi if _is_level(now) else None)
        port = now.port if now.gsi is None else 0
        self._deliver.bind_message(pirq, port, now.vcpu)

    def eoi(self, pirq: int) -> None:
        """The guest has served it. EINVAL for one that is not in use."""
        self._check(pirq)
        if pirq not in self._pirqs:
            raise XenError(abi.EINVAL)
        if self.is_level(pirq):
            gsi = self._pirqs[pirq].gsi
            assert gsi is not None
            self._deliver.eoi(gsi)

    def reset(self) -> None:
        for pirq, old in list(self._pirqs.items()):
            del self._pirqs[pirq]
            self._follow(pirq, old)
