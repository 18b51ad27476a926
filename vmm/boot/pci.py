"""What ACPI says of PCI: root bridge, interrupt routing, slots with hot-plug, configuration space.

PCI Firmware 3.3: MCFG (4.1.2), _OSC (4.5); ACPI 6.5: _PRT (6.2.13), _EJ0 (6.3.3).
"""

from __future__ import annotations

from struct import pack

from vmm import layout
from vmm.boot.acpi import header
from vmm.boot.aml import (
    DWORD_ACCESS,
    SYSTEM_IO,
    and_,
    arg,
    buffer,
    call,
    create_dword_field,
    device,
    eisa_id,
    else_,
    equal,
    field,
    if_,
    integer,
    local,
    method,
    name,
    not_,
    notify,
    or_,
    package,
    path,
    region,
    return_,
    scope,
    store,
)
from vmm.boot.resources import bus_numbers, io, io_window, memory32_fixed, memory_window, template
from vmm.record import Record

SLOTS = range(1, 32)  # the host bridge is in slot 0
PINS = range(1, 5)
DEVICE_CHECK, EJECT_REQUEST = 1, 3  # notifications
HOTPLUG = call("\\_SB.PCI0.HPLG")

# _OSC. Native hot-plug (bits 0 and 1) stays ours, as there are no ports that could do it.
OSC_UUID = bytes.fromhex("5b4ddb33f71f1c4096577441c03dd766")
OSC_GRANTED = 1 << 2 | 1 << 3 | 1 << 4  # PME, AER, capability structure
OSC_UNKNOWN_UUID, OSC_UNKNOWN_REVISION, OSC_MASKED = 1 << 2, 1 << 3, 1 << 4


class PciConfig(Record):
    """What the tables depend on. `pic`: there is a PIC, so the guest may be in PIC mode."""

    ram: int  # bytes
    pic: bool


def mcfg() -> bytes:
    """The table that says where configuration space lies in memory: one segment, bus 0."""
    body = bytes(8) + pack("<QHBB4x", layout.PCI_ECAM, 0, 0, 0)
    return header(b"MCFG", 1, body)


def build(config: PciConfig) -> bytes:
    """The root bridge with its slots, and where configuration space is reserved."""
    reserved = device(
        "MRES",
        name("_HID", eisa_id("PNP0C02")),
        name("_UID", integer(0)),
        name("_CRS", template(memory32_fixed(layout.PCI_ECAM, layout.PCI_ECAM_SIZE))),
    )
    bridge = device(
        "PCI0",
        name("_HID", eisa_id("PNP0A08")),
        name("_CID", eisa_id("PNP0A03")),
        name("_SEG", integer(0)),
        name("_BBN", integer(0)),
        name("_UID", integer(0)),
        name("_CRS", _windows(config.ram)),
        _osc(),
        _routing(config.pic),
        _hotplug(),
        *[_slot(slot) for slot in SLOTS],
    )
    return _interrupt_mode(config.pic) + scope("\\_SB", reserved, bridge)


def _windows(ram: int) -> bytes:
    return template(
        bus_numbers(0, 0),
        io(layout.PORT_PCI_ADDRESS, layout.PCI_PORTS_SIZE),
        io_window(layout.PCI_IO, layout.PCI_IO_END - layout.PCI_IO),
        memory_window(layout.PCI_MMIO32, layout.PCI_MMIO32_END - layout.PCI_MMIO32),
        memory_window(*layout.pci_mmio64(ram)),
    )


def _osc() -> bytes:
    """Which features of the bus the guest may drive itself."""
    status, control, wanted = path("CDW1"), path("CDW3"), local(0)
    ours = (
        store(and_(control, integer(OSC_GRANTED)), wanted)
        + if_(
            not_(equal(arg(1), integer(1))),
            or_(status, integer(OSC_UNKNOWN_REVISION), status),
        )
        + if_(not_(equal(control, wanted)), or_(status, integer(OSC_MASKED), status))
        + store(wanted, control)
    )
    return method(
        "_OSC",
        4,
        create_dword_field(arg(3), 0, "CDW1"),
        if_(
            equal(arg(0), buffer(OSC_UUID)),
            create_dword_field(arg(3), 8, "CDW3"),
            ours,
        ),
        else_(or_(status, integer(OSC_UNKNOWN_UUID), status)),
        return_(arg(3)),
        serialized=True,
    )


def _interrupt_mode(pic: bool) -> bytes:
    """Where the guest says which interrupt controller it uses: 0 the PIC, 1 the I/O APIC."""
    if not pic:
        return b""
    return name("PICM", integer(0)) + method("_PIC", 1, store(arg(0), path("PICM")))


def _routing(pic: bool) -> bytes:
    """_PRT: which GSI each pin of each slot raises; in PIC mode, which input of the PIC."""
    apic = _routes(layout.GSI_PCI_INTX)
    if not pic:
        return name("_PRT", apic)
    return (
        name("PRTA", apic)
        + name("PRTP", _routes(layout.PIC_PCI_INTX))
        + method("_PRT", 0, if_(path("PICM"), return_(path("PRTA"))), return_(path("PRTP")))
    )


def _routes(wires: tuple[int, ...]) -> bytes:
    gsis, none = [integer(gsi) for gsi in wires], integer(0)
    pins = [(pin, integer(pin - 1)) for pin in PINS]
    routes = []
    for slot in SLOTS:
        address = integer(slot << 16 | 0xFFFF)
        for pin, number in pins:
            routes.append(package(address, number, none, gsis[layout.pci_pin(slot, pin)]))
    return package(*routes)


def _label(slot: int) -> str:
    return f"S{slot:02X}"


def _slot(slot: int) -> bytes:
    """A slot. What is in it the guest sees in configuration space, so there is no _STA."""
    return device(
        _label(slot),
        name("_ADR", integer(slot << 16)),
        name("_SUN", integer(slot)),
        method("_EJ0", 1, store(integer(1 << slot), path("EJCT"))),
    )


def _hotplug() -> bytes:
    """The registers of core/pci/pcihp.h, and a method that tells of all that is new in them."""
    slots = [(and_(local(0), integer(1 << n)), _label(n)) for n in SLOTS]
    came = [if_(is_set, notify(slot, DEVICE_CHECK)) for is_set, slot in slots]
    go = [if_(is_set, notify(slot, EJECT_REQUEST)) for is_set, slot in slots]
    return (
        region("HPRG", SYSTEM_IO, layout.PORT_PCI_HOTPLUG, 12)
        + field("HPRG", DWORD_ACCESS, ("CAME", 32), ("SHGO", 32), ("EJCT", 32))
        + method(
            "HPLG",
            0,
            store(path("CAME"), local(0)),
            if_(local(0), *came),
            store(path("SHGO"), local(0)),
            if_(local(0), *go),
            serialized=True,
        )
    )
