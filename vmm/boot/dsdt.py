"""The DSDT's content: the devices a guest cannot discover by itself, and how to power off."""

from __future__ import annotations

from vmm import layout
from vmm.boot.aml import (
    DWORD_ACCESS,
    SYSTEM_IO,
    and_,
    device,
    eisa_id,
    field,
    if_,
    integer,
    local,
    method,
    name,
    notify,
    package,
    path,
    region,
    scope,
    store,
    string,
)
from vmm.boot.records import AcpiConfig
from vmm.boot.resources import LEVEL_HIGH, interrupt, io, irq, template

COM_IRQS = (layout.GSI_COM1_3, layout.GSI_COM2_4, layout.GSI_COM1_3, layout.GSI_COM2_4)
PRESENT = integer(0xF)  # _STA: present, enabled, shown, working
BUTTON_PRESSED = 0x80
COM_PORTS = 8


def build(config: AcpiConfig) -> bytes:
    """All AML below the root, in the order of the namespace."""
    devices = [_processors(config.apic_ids)]
    devices += [_com(index) for index in config.com_ports]
    if config.pvpanic:
        devices.append(_pvpanic())
    if config.ged:
        devices += [_power_button(), _event_device(config.hotplug)]
    if config.pic:
        devices.append(_pic_and_pit())
    if config.rtc:
        devices.append(_isa("RTC", "PNP0B00", io(layout.PORT_RTC, 2), irq(layout.GSI_RTC)))
    if config.i8042:
        devices.append(_i8042())
    body = scope("\\_SB", *devices)
    body += name("\\_S5", package(integer(layout.ACPI_S5_TYPE), *[integer(0)] * 3))
    if config.hotplug and not config.reduced:
        body += scope("\\_GPE", method("_E00", 0, config.hotplug, serialized=True))
    return body + b"".join(config.aml)


def _isa(label: str, hid: str, *resources: bytes) -> bytes:
    return device(label, name("_HID", eisa_id(hid)), name("_CRS", template(*resources)))


def _processors(apic_ids: tuple[int, ...]) -> bytes:
    """Processor devices; their _UIDs are the MADT's: the index of the vCPU."""
    return b"".join(
        [
            device(f"C{index:03X}", name("_HID", string("ACPI0007")), name("_UID", integer(index)))
            for index in range(len(apic_ids))
        ]
    )


def _com(index: int) -> bytes:
    port = layout.PORT_COM[index]
    return device(
        f"COM{index + 1}",
        name("_HID", eisa_id("PNP0501")),
        name("_UID", integer(index + 1)),
        name("_STA", PRESENT),
        name("_CRS", template(io(port, COM_PORTS), irq(COM_IRQS[index]))),
    )


def _pvpanic() -> bytes:
    return device(
        "PEVT",
        name("_HID", string("QEMU0001")),
        name("_STA", PRESENT),
        name("_CRS", template(io(layout.PORT_PVPANIC, 1))),
    )


def _power_button() -> bytes:
    return device("PWRB", name("_HID", eisa_id("PNP0C0C")), name("_STA", PRESENT))


def _event_device(hotplug: bytes) -> bytes:
    """Generic event device (ACPI 6.5, 5.6.9): one interrupt, the reasons in PORT_GED."""
    events = local(0)
    button = and_(events, integer(layout.GED_POWER_BUTTON))
    body = store(path("EVTS"), events) + if_(button, notify("\\_SB.PWRB", BUTTON_PRESSED))
    if hotplug:
        body += if_(and_(events, integer(layout.GED_HOTPLUG)), hotplug)
    return device(
        "GED",
        name("_HID", string("ACPI0013")),
        name("_CRS", template(interrupt(LEVEL_HIGH, layout.GSI_GED))),
        region("EVTR", SYSTEM_IO, layout.PORT_GED, 4),
        field("EVTR", DWORD_ACCESS, ("EVTS", 32)),
        method("_EVT", 1, body, serialized=True),
    )


def _pic_and_pit() -> bytes:
    ports = [io(layout.PORT_PIC_MASTER, 2), io(layout.PORT_PIC_SLAVE, 2), io(layout.PORT_ELCR, 2)]
    return (
        _isa("PIC", "PNP0000", *ports, irq(2))
        + _isa("TIMR", "PNP0100", io(layout.PORT_PIT, 4), irq(layout.GSI_PIT))
        + _isa("SPKR", "PNP0800", io(layout.PORT_SPEAKER, 1))
    )


def _i8042() -> bytes:
    ports = [io(layout.PORT_I8042, 1), io(layout.PORT_I8042 + 4, 1)]
    return _isa("KBD", "PNP0303", *ports, irq(layout.GSI_I8042)) + _isa(
        "MOU", "PNP0F13", irq(layout.GSI_I8042_AUX)
    )
