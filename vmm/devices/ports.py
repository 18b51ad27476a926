"""Small ports: reset, panic, debug exit, boot marks, and ports where nothing is."""

from __future__ import annotations

import os
from time import monotonic_ns

from vmm import layout
from vmm.cdevice import CDevice
from vmm.doorbell import Doorbell
from vmm.native import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.cdevice import Claim
    from vmm.context import DeviceContext


class BootMarks(CDevice):
    """Port 0x80: what the guest wrote there, and when."""

    kind = "postcode"

    def __init__(self, context: DeviceContext) -> None:
        pointer = lib.postcode_create(context.clock)
        super().__init__("boot-marks", pointer, [("pio", layout.PORT_POST, 1, 0)])
        self._zero = monotonic_ns() - lib.vclock_ns(context.clock)

    def marks(self, start: int = 0) -> tuple[list[tuple[int, int]], int]:
        """Marks from number `start` on as (ns of virtual time, value), and the next number.

        C keeps the newest lib.POSTCODE_MARKS; older ones are left out.
        """
        table = ffi.new("struct postcode_mark[]", lib.POSTCODE_MARKS)
        following = ffi.new("uint64_t *")
        count = lib.postcode_marks(self.pointer, start, table, lib.POSTCODE_MARKS, following)
        return [(mark.ns, mark.value) for mark in table[0:count]], following[0]

    def timeline(self) -> list[tuple[str, int]]:
        """The marks by name with their CLOCK_MONOTONIC nanoseconds, less the time spent paused."""
        return [(f"port 0x80: {value:#04x}", self._zero + at) for at, value in self.marks()[0]]

    def counters(self) -> dict[str, int]:
        return {"writes": lib.postcode_writes(self.pointer)}


class QuietDevice(CDevice):
    """A device some of whose ports forget what is written: KVM drops those writes by itself.

    Each is an ioeventfd that nobody reads, which takes writes of exactly that width and costs no
    exit. Unlike a coalesced zone it leaves other widths and ports inside its range alone.
    """

    _core: Any = None
    _event = -1
    _dropped: list[Doorbell] = []

    def forget(self, core: Any, places: list[tuple[int, int]]) -> None:
        """Has KVM drop writes to these (port, bytes). Those it will not take exit."""
        if core is None:
            return
        self._core, self._event = core, os.eventfd(0, os.EFD_CLOEXEC)
        bells = [Doorbell(space="pio", address=p, size=n, fd=self._event) for p, n in places]
        self._dropped = [bell for bell in bells if bell.attach(core)]

    def close(self) -> None:
        while self._dropped:
            self._dropped.pop().detach(self._core)
        if self._event >= 0:
            os.close(self._event)
            self._event = -1
        super().close()


def reset_port(*, legacy: bool) -> CDevice:
    """Reset control, reached at 0xcf9 through the PCI address register, and port 0x92."""
    claims: list[Claim] = []
    if legacy:
        claims.append(("pio", layout.PORT_FAST_A20, 1, lib.RESETPORT_92))
    return CDevice("reset", lib.resetport_create(), claims, kind="resetport")


def empty_pci_ports(context: DeviceContext, reset: CDevice) -> CDevice:
    """What a machine without PCI has at 0xcf8: reset control, and a bus with nothing on it.

    A stock kernel that finds the ports looks no further; without them it calls that an error.
    """
    at = ffi.addressof(reset.pointer, "dev")
    zones = context.coalesce.pointer
    pointer = lib.pci_root_create(at, lib.RESETPORT_CF9, ffi.NULL, zones)
    claims: list[Claim] = [("pio", layout.PORT_PCI_ADDRESS, layout.PCI_PORTS_SIZE, lib.PCI_PORTS)]
    return CDevice("pci-ports", pointer, claims, kind="pci_root")


def pvpanic() -> CDevice:
    """The port on which a guest reports its own panic."""
    claims: list[Claim] = [("pio", layout.PORT_PVPANIC, 1, 0)]
    return CDevice("pvpanic", lib.pvpanic_create(), claims, kind="pvpanic")


def debug_exit() -> CDevice:
    """isa-debug-exit: four ports, so that writes of every width end the machine."""
    claims: list[Claim] = [("pio", layout.PORT_DEBUG_EXIT, 4, 0)]
    return CDevice("debug-exit", lib.dbgexit_create(), claims, kind="dbgexit")


def null_ports(context: DeviceContext) -> CDevice:
    """What a stock kernel probes in vain: Super-I/O index pairs."""
    claims: list[Claim] = [("pio", base, 2, 0) for base in layout.PORT_SUPERIO]
    device = QuietDevice("null", lib.nullport_create(), claims, kind="nullport")
    pairs = [(base + n, 1) for base in layout.PORT_SUPERIO for n in range(2)]
    device.forget(context.core, pairs)
    return device
