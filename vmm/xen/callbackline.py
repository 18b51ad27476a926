"""The wire of a domain's callback: an interrupt pin tells the first vCPU, which has no vector.

It is up until the guest's EOI, and again while events wait (core/xen/xenus.h).
"""

from __future__ import annotations

from vmm import layout
from vmm.errors import KvmError, VmmError
from vmm.irq import TIMER_PIN
from vmm.native import check, lib
from vmm.pci.intx import Intx
from vmm.xen import abi
from vmm.xen.abi import XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.context import DeviceContext

NONE = (-1, -1)


class CallbackLine:
    """Of the domain of a `struct xenus *`. Context: the domain's lock, or nothing runs."""

    def __init__(self, context: DeviceContext, xenus: Any) -> None:
        self._hub, self._loop, self._xenus = context.irq, context.loop, xenus
        self._pins = context.router.pins
        self._split = context.router.split
        wires = zip(layout.GSI_PCI_INTX, layout.PIC_PCI_INTX, strict=True)
        self._wires = dict(wires) if context.config.machine == "legacy" else {}  # GSI -> PIC line
        self._intx: Intx | None = None

    def set(self, gsi: int | None) -> None:
        """`None`: there is none. EINVAL for no pin, KvmError if it cannot be; nothing changes."""
        fresh = None if gsi is None else self._connect(gsi)
        try:
            self._use(fresh)
        except KvmError:
            self._use(self._intx)
            if fresh is not None:
                fresh.close()
            raise
        old, self._intx = self._intx, fresh
        if old is not None:
            old.close()
        if fresh is not None:
            lib.xenus_tell(self._xenus, 0)

    def _connect(self, gsi: int) -> Intx:
        if gsi >= self._pins or gsi == TIMER_PIN:  # above them are messages of devices
            raise XenError(abi.EINVAL)
        if not self._split:
            gsi = self._wire_at(gsi)
        intx = Intx(self._hub, self._loop, gsi, self._wires.get(gsi))
        try:
            intx.check()
        except VmmError:  # the chips do not take it
            intx.close()
            raise XenError(abi.EINVAL) from None
        return intx

    def _wire_at(self, line: int) -> int:
        """A line of KVM's PIC that PCI's wires have: its EOIs are those of the wire's GSI."""
        return next((gsi for gsi, at in self._wires.items() if at == line), line)

    def _use(self, intx: Intx | None) -> None:
        fds = NONE if intx is None else (intx.trigger, intx.resample)
        check(lib.xenus_set_gsi(self._xenus, *fds), "xenus_set_gsi")
