"""ACPI fixed hardware: sleep and event registers, and how the VMM raises events in them."""

from __future__ import annotations

from vmm import layout
from vmm.cdevice import CDevice
from vmm.native import lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.cdevice import Claim
    from vmm.context import DeviceContext

PM_TIMER_BITS = 24  # the FADT does not set TMR_VAL_EXT


class AcpiRegisters(CDevice):
    """Hardware-reduced: sleep control and status, generic event device. Full: PM1 and GPE0."""

    kind = "acpiregs"

    def __init__(self, context: DeviceContext, *, reduced: bool) -> None:
        self.reduced = reduced
        claims: list[Claim] = [
            ("pio", layout.PORT_ACPI_SLEEP_CONTROL, 2, lib.ACPIREGS_SLEEP),
            ("pio", layout.PORT_GED, 4, lib.ACPIREGS_GED),
        ]
        if not reduced:
            claims = [
                ("pio", layout.PORT_PM1_EVENT, 4, lib.ACPIREGS_PM1_EVENT),
                ("pio", layout.PORT_PM1_CONTROL, 2, lib.ACPIREGS_PM1_CONTROL),
                ("pio", layout.PORT_GPE0, 4, lib.ACPIREGS_GPE0),
            ]
        pointer = lib.acpiregs_create(
            context.irq,
            layout.GSI_GED if reduced else layout.GSI_SCI,
            context.clock,
            context.loop.pointer,
            0 if reduced else PM_TIMER_BITS,
        )
        super().__init__("acpi", pointer, claims)

    def power_button(self) -> None:
        """Presses the power button; what follows is the guest's decision. Any thread."""
        if self.reduced:
            lib.acpiregs_ged_raise(self.pointer, layout.GED_POWER_BUTTON)
        else:
            lib.acpiregs_pm1_raise(self.pointer, lib.PM1_PWRBTN)

    def hotplug(self) -> None:
        """Tells the guest to look for new or departed devices. Any thread."""
        if self.reduced:
            lib.acpiregs_ged_raise(self.pointer, layout.GED_HOTPLUG)
        else:
            lib.acpiregs_gpe_raise(self.pointer, 1)

    def wake(self) -> None:
        """The machine leaves a sleep state: sets WAK_STS."""
        lib.acpiregs_wake(self.pointer)

    def sleep_type(self) -> int:
        """SLP_TYP of the guest's last request to sleep."""
        return int(lib.acpiregs_sleep_type(self.pointer))


def pm_timer(context: DeviceContext) -> CDevice:
    """The 3.579545 MHz timer beside the PM1 registers."""
    pointer = lib.pmtimer_create(context.clock, PM_TIMER_BITS)
    return CDevice("pmtimer", pointer, [("pio", layout.PORT_PM_TIMER, 4, 0)], kind="pmtimer")
