"""GDT and identity page tables for guests that are entered in protected or long mode."""

from __future__ import annotations

from struct import pack

from vmm import layout
from vmm.boot.loader import Loader

# Segment descriptors: base 0, limit 4 GiB, present, accessed.
CODE64 = 0x00AF_9B00_0000_FFFF
CODE32 = 0x00CF_9B00_0000_FFFF
DATA = 0x00CF_9300_0000_FFFF

PTE_TABLE = 0x3  # present, writable
PTE_2M = 0x83  # present, writable, page size
MAPPED = 4 * layout.GIB


def put_gdt(loader: Loader, long_mode: bool) -> None:
    """The GDT at layout.GDT; CODE is layout.BOOT_CS and DATA layout.BOOT_DS."""
    code = CODE64 if long_mode else CODE32
    loader.put("GDT", layout.GDT, pack("<4Q", 0, 0, code, DATA))


def put_page_tables(loader: Loader) -> None:
    """4-level tables at layout.BOOT_PAGE_TABLES: the first 4 GiB to themselves in 2 MiB pages."""
    base = layout.BOOT_PAGE_TABLES
    directories = base + 2 * layout.PAGE
    top = pack("<Q", base + layout.PAGE | PTE_TABLE).ljust(layout.PAGE, b"\0")
    middle = pack(
        "<4Q", *(directories + i * layout.PAGE | PTE_TABLE for i in range(MAPPED // layout.GIB))
    ).ljust(layout.PAGE, b"\0")
    low = pack("<2048Q", *range(PTE_2M, MAPPED, 2 * layout.MIB))
    loader.put("page tables", base, top + middle + low)
