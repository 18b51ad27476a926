"""Which devices a machine has: the one list, in the order of creation.

Order and names are part of saved states: a new device gets a new name, an old one keeps its own.
"""

from __future__ import annotations

from vmm.devices import ports
from vmm.devices.acpi import AcpiRegisters, pm_timer
from vmm.devices.uart import serial_ports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmm.context import DeviceContext
    from vmm.devices.base import CDevice


def build_platform(context: DeviceContext) -> list[CDevice]:
    """Creates the configured devices and puts them on the buses. No vCPU runs yet.

    On an error those made so far are closed.
    """
    made: list[CDevice] = []
    try:
        for device in _devices(context):
            made.append(device)
            device.claim(context.pio, context.mmio)
    except BaseException:
        for device in reversed(made):
            device.close()
        raise
    return made


def _devices(context: DeviceContext) -> Iterator[CDevice]:
    config = context.config
    legacy = config.machine == "legacy"
    yield AcpiRegisters(context, reduced=not legacy)
    yield ports.reset_port(legacy=legacy)
    yield ports.pvpanic()
    yield ports.BootMarks(context)
    yield ports.null_ports()
    yield from serial_ports(context)
    if legacy:
        from vmm.devices.rtc import Rtc

        yield pm_timer(context)
        yield Rtc(context)
    if config.debug_exit or config.testdev:
        yield ports.debug_exit()
