"""Which devices a machine has: the one list, in the order of creation.

Order and names are part of saved states: a new device gets a new name, an old one keeps its own.
"""

from __future__ import annotations

from vmm import pciplan
from vmm.closing import close_all
from vmm.devices import ports
from vmm.devices.acpi import AcpiRegisters, pm_timer
from vmm.devices.uart import serial_ports
from vmm.errors import VmmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmm.cdevice import CDevice, Device
    from vmm.context import DeviceContext


def build_platform(context: DeviceContext) -> list[Device]:
    """Creates the configured devices and puts them on the buses. No vCPU runs yet.

    On an error those made so far are closed.
    """
    made: list[Device] = []
    try:
        for device in _devices(context):
            made.append(device)
            if any(other.name == device.name for other in made[:-1]):
                raise VmmError(f"There are two devices called {device.name}; choose another id")
        for device in made:
            device.claim(context.pio, context.mmio)
    except BaseException as error:
        close_all((device.close for device in reversed(made)), error)
    return made


def _devices(context: DeviceContext) -> Iterator[Device]:
    config = context.config
    legacy, split = config.machine == "legacy", config.irqchip == "split"
    pit = debugcon = None
    yield AcpiRegisters(context, reduced=not legacy)
    reset = ports.reset_port(legacy=legacy)
    yield reset
    yield ports.pvpanic()
    yield ports.BootMarks(context)
    yield ports.null_ports(context)
    for port in serial_ports(context):
        debugcon = port if port.name == "debugcon" else debugcon
        yield port
    if config.own_pit:
        from vmm.devices import irqchip

        pit = irqchip.interval_timer(context)
        yield pit
    if legacy:
        yield from _legacy_devices(context, pit)
    if config.debug_exit or config.testdev:
        yield ports.debug_exit()
    if config.testdev:
        from vmm.devices.testdev import FwCfg, PcTestdev

        yield PcTestdev(context, debugcon)
        yield FwCfg(context)
    if pciplan.has_bus(config):
        yield from _pci(context, reset)
    else:
        yield ports.empty_pci_ports(context, reset)
    if split:
        from vmm.devices import irqchip

        # Last: lines that move while a saved state is loaded must not count as new edges.
        pic = irqchip.pic_pair()
        yield pic
        yield irqchip.IoApic(context, pic)


def _pci(context: DeviceContext, reset: CDevice) -> Iterator[Device]:
    """The root bus and what is on it, each in its slot."""
    from vmm.pci.bridge import host_bridge
    from vmm.pci.hotplug import HotplugRegisters
    from vmm.pci.root import PciRoot

    yield HotplugRegisters()
    root = PciRoot(context, reset)
    yield root
    bridge = host_bridge()
    yield bridge
    root.plug(bridge.function, 0)
    if not pciplan.occupied(context.config):
        return
    from vmm import kinds
    from vmm.pci import slots

    wanted = kinds.wanted(context.config)
    keep = [device.addr for device in wanted if device.addr]
    for device_config in kinds.with_names(wanted):
        device = slots.make(context, device_config)
        yield device
        slots.plug(root, device, device_config.addr, keep)


def _legacy_devices(context: DeviceContext, pit: CDevice | None) -> Iterator[CDevice]:
    """pit: ours, or `None` when it is the in-kernel one."""
    from vmm.devices.legacy import Hpet, keyboard_controller
    from vmm.devices.rtc import Rtc

    rtc = Rtc(context)
    yield pm_timer(context)
    yield rtc
    yield keyboard_controller(context)
    yield Hpet(context, pit, rtc)
