"""The MP table (Intel MultiProcessor Specification 1.4), for guests that do not read ACPI.

Those that do look for one all the same. Its pointer stands where they look first: a search that
finds none takes a stock Linux 8 million instructions.
"""

from __future__ import annotations

from struct import pack

from vmm import layout
from vmm.errors import BootError

PROCESSOR, BUS, IOAPIC, IO_INTERRUPT, LOCAL_INTERRUPT = range(5)
ENABLED, BOOT_PROCESSOR = 1, 2
INT, NMI, EXTINT = 0, 1, 3
LAPIC_VERSION, IOAPIC_VERSION = 0x14, 0x11
ISA_BUS = 0
ISA_IRQS = (layout.GSI_PIT, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)  # 2 is the cascade
LEVEL_HIGH = 0xD
CPU_SIGNATURE, CPU_FEATURES = 0x600, 0x201  # APIC and FPU; CPUID tells the rest
AREA = layout.RESET_VECTOR - layout.MP_TABLE


def build(apic_ids: tuple[int, ...], *, pic: bool) -> tuple[bytes, bytes]:
    """Floating pointer for layout.EBDA and configuration table for layout.MP_TABLE.

    Boot processor first; `pic`: there are 8259s and an 8254. BootError if the table has no room.
    """
    ioapic = 0
    entries = [
        pack(
            "<BBBBII8x",
            PROCESSOR,
            apic_id,
            LAPIC_VERSION,
            ENABLED | (0 if index else BOOT_PROCESSOR),
            CPU_SIGNATURE,
            CPU_FEATURES,
        )
        for index, apic_id in enumerate(apic_ids)
        if apic_id <= layout.APIC_ID_MAX
    ]
    entries.append(pack("<BB6s", BUS, ISA_BUS, b"ISA   "))
    entries.append(pack("<BBBBI", IOAPIC, ioapic, IOAPIC_VERSION, ENABLED, layout.IOAPIC))
    for irq in ISA_IRQS if pic else ISA_IRQS[1:]:
        pin = 2 if irq == layout.GSI_PIT else irq
        flags = LEVEL_HIGH if irq == layout.GSI_SCI else 0
        entries.append(pack("<BBHBBBB", IO_INTERRUPT, INT, flags, ISA_BUS, irq, ioapic, pin))
    for kind, pin in ((EXTINT, 0), (NMI, 1)) if pic else ((NMI, 1),):
        entries.append(pack("<BBHBBBB", LOCAL_INTERRUPT, kind, 0, ISA_BUS, 0, 0xFF, pin))
    table = _configuration(entries)
    if len(table) > AREA:
        raise BootError(f"the MP table needs {len(table)} bytes; configure fewer vCPUs")
    return _floating(layout.MP_TABLE), table


def _floating(table_at: int) -> bytes:
    pointer = bytearray(pack("<4sIBBBBI", b"_MP_", table_at, 1, 4, 0, 0, 0))
    pointer[10] = -sum(pointer) & 0xFF
    return bytes(pointer)


def _configuration(entries: list[bytes]) -> bytes:
    body = b"".join(entries)
    table = bytearray(
        pack(
            "<4sHBB8s12sIHHIHBB",
            b"PCMP",
            44 + len(body),
            4,
            0,
            b"VMM     ",
            b"VIRTUAL     ",
            0,
            0,
            len(entries),
            layout.LAPIC,
            0,
            0,
            0,
        )
        + body
    )
    table[7] = -sum(table) & 0xFF
    return bytes(table)
