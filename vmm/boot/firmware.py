"""What a PC's firmware would leave in memory: ACPI, SMBIOS and MP tables, and a reset vector."""

from __future__ import annotations

from vmm import layout
from vmm.boot.loader import Loader
from vmm.boot.records import BootConfig

# A stock kernel on hardware-reduced ACPI without EFI does not use the reset register: it goes to
# real mode and jumps to the BIOS. mov dx, PORT_RESET; mov al, 6; out dx, al; again: hlt; jmp again
RESET_CODE = b"\xba" + layout.PORT_RESET.to_bytes(2, "little") + b"\xb0\x06\xee\xf4\xeb\xfd"


def place(loader: Loader, config: BootConfig) -> int:
    """Write the tables `config` asks for; returns the RSDP's address, 0 without ACPI."""
    rsdp_at = 0
    if config.acpi is not None:
        from vmm.boot import acpi

        tables, rsdp = acpi.place(config.acpi)
        loader.put("ACPI tables", layout.ACPI_TABLES, tables)
        loader.put("ACPI RSDP", layout.ROM, rsdp)
        rsdp_at = layout.ROM
    if config.smbios:
        from vmm.boot import smbios

        loader.put("SMBIOS", layout.SMBIOS, smbios.build(loader.ram, len(config.apic_ids)))
    if config.mptable:
        from vmm.boot import mptable

        pointer, table = mptable.build(config.apic_ids, pic=config.pic)
        loader.put("MP table pointer", layout.EBDA, pointer)
        loader.put("MP table", layout.MP_TABLE, table)
    loader.put("reset vector", layout.RESET_VECTOR, RESET_CODE)
    return rsdp_at
