"""ACPI tables (ACPI 6.5, chapter 5): RSDP, RSDT, XSDT, FADT, MADT, DSDT; FACS, HPET if full.

Two platforms. Hardware-reduced (the default) has no PM1 block, no PM timer and no SCI: sleep
and reset registers plus a generic event device, and flags that say truthfully what is absent, which
spares a guest long searches (a missing RTC alone costs tens of thousands of exits when the flag
does not admit it). Full ACPI (--machine legacy) describes what a PC of the year 2000 has.
"""

from __future__ import annotations

from struct import pack, pack_into

from vmm import layout
from vmm.boot import dsdt
from vmm.boot.records import AcpiConfig
from vmm.errors import BootError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

OEM_ID, OEM_TABLE_ID, CREATOR = b"VMM   ", b"VMMTABLE", b"VMM "
REVISION = 1
FADT_SIZE = 276

# FADT flags (table 5.10)
WBINVD, PROC_C1 = 1 << 0, 1 << 2
PWR_BUTTON, SLP_BUTTON, FIX_RTC = 1 << 4, 1 << 5, 1 << 6  # set: not in the fixed registers
RESET_REG_SUP, HW_REDUCED_ACPI = 1 << 10, 1 << 20
# FADT IA-PC boot architecture flags (table 5.11)
LEGACY_DEVICES, I8042, VGA_NOT_PRESENT, CMOS_RTC_NOT_PRESENT = 1 << 0, 1 << 1, 1 << 2, 1 << 5

RESET_VALUE = 6  # written to PORT_RESET
CENTURY = 0x32  # CMOS index
C2_LATENCY_NONE, C3_LATENCY_NONE = 101, 1001  # above the limits: no such states

# MADT
PCAT_COMPAT = 1
MADT_LAPIC, MADT_IOAPIC, MADT_OVERRIDE, MADT_LAPIC_NMI, MADT_X2APIC, MADT_X2APIC_NMI = (
    0, 1, 2, 4, 9, 10,
)  # fmt: skip
ENABLED = 1
LEVEL_HIGH = 0xD  # MPS INTI flags: active high, level
ALL_PROCESSORS, ALL_X2APIC = 0xFF, 0xFFFF_FFFF


def place(config: AcpiConfig) -> tuple[bytes, bytes]:
    """(tables for layout.ACPI_TABLES, RSDP for layout.ROM). BootError if they do not fit."""
    blob = bytearray()
    addresses: dict[str, int] = {}
    roots = []
    for signature, table in _tables(config, addresses):
        at = len(blob) + 63 & ~63
        addresses[signature] = layout.ACPI_TABLES + at
        blob += bytes(at - len(blob)) + table
        if signature not in ("DSDT", "FACS"):
            roots.append(layout.ACPI_TABLES + at)
    rsdt = layout.ACPI_TABLES + (len(blob) + 63 & ~63)
    blob += bytes(rsdt - layout.ACPI_TABLES - len(blob))
    blob += header(b"RSDT", 1, pack(f"<{len(roots)}I", *roots))
    xsdt = layout.ACPI_TABLES + (len(blob) + 63 & ~63)
    blob += bytes(xsdt - layout.ACPI_TABLES - len(blob))
    blob += header(b"XSDT", 1, pack(f"<{len(roots)}Q", *roots))
    if len(blob) > layout.ACPI_TABLES_MAX:
        raise BootError(
            f"the ACPI tables need {len(blob)} bytes, there is room for "
            f"{layout.ACPI_TABLES_MAX}; configure fewer devices or vCPUs"
        )
    return bytes(blob), _rsdp(rsdt, xsdt)


def tables(config: AcpiConfig) -> dict[str, bytes]:
    """Every table by signature, as a guest would find it. For tests and dumps."""
    blob, rsdp = place(config)
    found = {"RSDP": rsdp}
    at = 0
    while at < len(blob):
        length = int.from_bytes(blob[at + 4 : at + 8], "little")
        found[blob[at : at + 4].decode("ascii")] = blob[at : at + length]
        at = at + length + 63 & ~63
    return found


def header(signature: bytes, revision: int, body: bytes) -> bytes:
    """A system description table: the common header (5.2.6) with its checksum, then `body`."""
    table = bytearray(
        pack(
            "<4sIBB6s8sI4sI",
            signature,
            36 + len(body),
            revision,
            0,
            OEM_ID,
            OEM_TABLE_ID,
            REVISION,
            CREATOR,
            REVISION,
        )
        + body
    )
    table[9] = -sum(table) & 0xFF
    return bytes(table)


def _tables(config: AcpiConfig, addresses: dict[str, int]) -> Iterator[tuple[str, bytes]]:
    """(signature, table) in placing order; `addresses` has those placed before by then."""
    if not config.reduced:
        yield "FACS", pack("<4sIIIIIQB", b"FACS", 64, 0, 0, 0, 0, 0, 2).ljust(64, b"\0")
    yield "DSDT", header(b"DSDT", 2, dsdt.build(config))
    yield "FACP", _fadt(config, addresses["DSDT"], addresses.get("FACS", 0))
    yield "APIC", _madt(config)
    if config.hpet:
        body = pack("<I", layout.HPET_BLOCK_ID) + gas(0, 64, 0, layout.HPET) + pack("<BHB", 0, 0, 0)
        yield "HPET", header(b"HPET", 1, body)
    for table in config.tables:
        yield table[:4].decode("ascii"), table


def gas(space: int, bits: int, access: int, address: int) -> bytes:
    """Generic address structure (5.2.3.2). `space` 0 memory, 1 I/O; `access` 1 byte to 4 qword."""
    return pack("<BBBBQ", space, bits, 0, access, address)


def _fadt(config: AcpiConfig, dsdt_at: int, facs_at: int) -> bytes:
    body = bytearray(FADT_SIZE)  # offsets below are those of the specification
    pack_into("<II", body, 36, facs_at, dsdt_at)
    pack_into("<HH", body, 96, C2_LATENCY_NONE, C3_LATENCY_NONE)
    arch = 0 if config.xen else VGA_NOT_PRESENT
    arch |= LEGACY_DEVICES if config.com_ports else 0
    arch |= I8042 if config.i8042 else 0
    if config.rtc:
        body[108] = CENTURY
    else:
        arch |= CMOS_RTC_NOT_PRESENT
    flags = WBINVD | PROC_C1 | SLP_BUTTON | FIX_RTC | RESET_REG_SUP
    body[116:128] = gas(1, 8, 1, layout.PORT_RESET)
    body[128] = RESET_VALUE
    body[131] = 5  # minor version: 6.5
    pack_into("<Q", body, 140, dsdt_at)
    body[268:276] = b"vmm".ljust(8, b"\0")  # hypervisor vendor identity
    if config.reduced:
        flags |= HW_REDUCED_ACPI | PWR_BUTTON
        body[244:256] = gas(1, 8, 1, layout.PORT_ACPI_SLEEP_CONTROL)
        body[256:268] = gas(1, 8, 1, layout.PORT_ACPI_SLEEP_STATUS)
    else:
        _fadt_fixed_hardware(body)
    pack_into("<H", body, 109, arch)
    pack_into("<I", body, 112, flags)
    return header(b"FACP", 6, bytes(body[36:]))


def _fadt_fixed_hardware(body: bytearray) -> None:
    """SCI and the PM1, PM timer and GPE0 blocks. SMI_CMD stays 0: ACPI mode is always on."""
    pack_into("<H", body, 46, layout.GSI_SCI)
    blocks = (  # (32-bit field, length field, 64-bit field, port, bytes, access)
        (56, 88, 148, layout.PORT_PM1_EVENT, 4, 2),
        (64, 89, 172, layout.PORT_PM1_CONTROL, 2, 2),
        (76, 91, 208, layout.PORT_PM_TIMER, 4, 3),
        (80, 92, 220, layout.PORT_GPE0, 4, 1),
    )
    for short, length, long, port, size, access in blocks:
        pack_into("<I", body, short, port)
        body[length] = size
        body[long : long + 12] = gas(1, size * 8, access, port)


def _madt(config: AcpiConfig) -> bytes:
    wide = any(apic_id > layout.APIC_ID_MAX for apic_id in config.apic_ids)
    entries = [pack("<II", layout.LAPIC, PCAT_COMPAT if config.pic else 0)]
    for uid, apic_id in enumerate(config.apic_ids):
        if apic_id > layout.APIC_ID_MAX:
            entries.append(pack("<BBHIII", MADT_X2APIC, 16, 0, apic_id, ENABLED, uid))
        else:
            entries.append(pack("<BBBBI", MADT_LAPIC, 8, uid, apic_id, ENABLED))
    entries.append(pack("<BBBBII", MADT_IOAPIC, 12, 0, 0, layout.IOAPIC, 0))
    if config.pic:  # the 8254 is wired to pin 2, where pin 0 would be the 8259's
        entries.append(pack("<BBBBIH", MADT_OVERRIDE, 10, 0, layout.GSI_PIT, 2, 0))
    if not config.reduced:
        gsi = layout.GSI_SCI
        entries.append(pack("<BBBBIH", MADT_OVERRIDE, 10, 0, gsi, gsi, LEVEL_HIGH))
    entries.append(pack("<BBBHB", MADT_LAPIC_NMI, 6, ALL_PROCESSORS, 0, 1))
    if wide:
        entries.append(pack("<BBHIB3x", MADT_X2APIC_NMI, 12, 0, ALL_X2APIC, 1))
    return header(b"APIC", 5, b"".join(entries))


def _rsdp(rsdt: int, xsdt: int) -> bytes:
    """Root system description pointer, revision 2 (5.2.5.3), with both of its checksums."""
    rsdp = bytearray(pack("<8sB6sBIIQB3x", b"RSD PTR ", 0, OEM_ID, 2, rsdt, 36, xsdt, 0))
    rsdp[8] = -sum(rsdp[:20]) & 0xFF
    rsdp[32] = -sum(rsdp) & 0xFF
    return bytes(rsdp)
