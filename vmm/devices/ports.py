"""Small ports: reset, panic, debug exit, boot marks, and ports where nothing is."""

from __future__ import annotations

from vmm import layout
from vmm.devices.base import CDevice
from vmm.native import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.context import DeviceContext
    from vmm.devices.base import Claim


class BootMarks(CDevice):
    """Port 0x80: what the guest wrote there, and when."""

    kind = "postcode"

    def __init__(self, context: DeviceContext) -> None:
        pointer = lib.postcode_create(context.clock)
        super().__init__("boot-marks", pointer, [("pio", layout.PORT_POST, 1, 0)])

    def marks(self, start: int = 0) -> tuple[list[tuple[int, int]], int]:
        """Marks from number `start` on as (ns of virtual time, value), and the next number.

        C keeps the newest lib.POSTCODE_MARKS; older ones are left out.
        """
        table = ffi.new("struct postcode_mark[]", lib.POSTCODE_MARKS)
        following = ffi.new("uint64_t *")
        count = lib.postcode_marks(self.pointer, start, table, lib.POSTCODE_MARKS, following)
        return [(mark.ns, mark.value) for mark in table[0:count]], following[0]

    def counters(self) -> dict[str, int]:
        return {"writes": lib.postcode_writes(self.pointer)}


def reset_port(*, legacy: bool) -> CDevice:
    """Reset control at 0xcf9, inside the PCI address register of a machine that has no PCI."""
    claims: list[Claim] = [("pio", layout.PORT_PCI_ADDRESS, 4, lib.RESETPORT_CF8)]
    if legacy:
        claims.append(("pio", layout.PORT_FAST_A20, 1, lib.RESETPORT_92))
    return CDevice("reset", lib.resetport_create(), claims, kind="resetport")


def pvpanic() -> CDevice:
    """The port on which a guest reports its own panic."""
    claims: list[Claim] = [("pio", layout.PORT_PVPANIC, 1, 0)]
    return CDevice("pvpanic", lib.pvpanic_create(), claims, kind="pvpanic")


def debug_exit() -> CDevice:
    """isa-debug-exit: four ports, so that writes of every width end the machine."""
    claims: list[Claim] = [("pio", layout.PORT_DEBUG_EXIT, 4, 0)]
    return CDevice("debug-exit", lib.dbgexit_create(), claims, kind="dbgexit")


def null_ports() -> CDevice:
    """What a stock kernel probes in vain: Super-I/O index pairs and PCI configuration data."""
    claims: list[Claim] = [("pio", base, 2, 0) for base in layout.PORT_SUPERIO]
    claims.append(("pio", layout.PORT_PCI_DATA, 4, 0))
    return CDevice("null", lib.nullport_create(), claims, kind="nullport")
