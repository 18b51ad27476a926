"""Devices that only `--machine legacy` has, apart from the clock: keyboard controller and HPET."""

from __future__ import annotations

from vmm import layout
from vmm.cdevice import CDevice
from vmm.native import ffi, lib, made

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.cdevice import Claim
    from vmm.context import DeviceContext


def keyboard_controller(context: DeviceContext) -> CDevice:
    """i8042 with a keyboard and a mouse that answer but send nothing of their own."""
    pointer = lib.i8042_create(context.irq, layout.GSI_I8042, layout.GSI_I8042_AUX)
    claims: list[Claim] = [
        ("pio", layout.PORT_I8042, 1, lib.I8042_DATA),
        ("pio", layout.PORT_I8042 + 4, 1, lib.I8042_COMMAND),
    ]
    return CDevice("i8042", pointer, claims, kind="i8042")


class Hpet(CDevice):
    """The HPET, and what falls silent while it replaces PIT and RTC."""

    kind = "hpet"

    def __init__(self, context: DeviceContext, pit: CDevice | None, rtc: CDevice | None) -> None:
        """pit: `None` when it is the in-kernel one."""
        pointer = lib.hpet_create(context.irq, context.clock, context.loop.pointer)
        super().__init__("hpet", pointer, [("mmio", layout.HPET, lib.HPET_BYTES, 0)])
        route = lib.legacy_route_create(
            self.pointer,
            ffi.NULL if pit is None else pit.pointer,
            ffi.NULL if rtc is None else rtc.pointer,
            context.vm_fd if pit is None else -1,
        )
        self._silenced = (pit, rtc)  # outlive the HPET
        self._route = made(route, lib.legacy_route_destroy, "HPET legacy routing")
