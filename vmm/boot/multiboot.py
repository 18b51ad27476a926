"""Multiboot 1: loads the image, its modules and the information structure (0.6.96, 3.2, 3.3)."""

from __future__ import annotations

from struct import pack

from vmm import layout
from vmm.boot import cmdline, e820, paging
from vmm.boot.image import Image
from vmm.boot.loader import Loader
from vmm.boot.modules import Module
from vmm.boot.records import BootConfig
from vmm.errors import BootError
from vmm.kvm.regs import EntryState

BOOTLOADER_MAGIC = 0x2BAD_B002
INFO_SIZE, MODULE_SIZE = 120, 16
AREA = layout.BOOT_PAGE_TABLES - layout.MULTIBOOT_INFO
HAS_MEMORY, HAS_CMDLINE, HAS_MODULES, HAS_MMAP, HAS_LOADER_NAME = 1, 4, 8, 64, 512
LOADER_NAME = "vmm"


def load(loader: Loader, config: BootConfig, image: Image, modules: list[Module]) -> EntryState:
    """Place the image by its address fields or program headers and enter it in protected mode."""
    if image.multiboot.addresses:
        offset, base, length, memory, entry = image.multiboot.addresses
        loader.put_file("kernel", base, image.source, (offset, length), memory)
        end = base + memory
    else:
        image.put_segments(loader)
        entry, end = image.elf.entry, image.elf.end()
        if entry >> 32:
            raise image.source.refuse(
                f"has entry {entry:#x} above 4 GiB, where a 32-bit entry cannot go; relink it"
            )
    paging.put_gdt(loader, long_mode=False)
    name = image.source.path
    text = f"{name} {config.cmdline}" if config.cmdline else name
    text_at = cmdline.place(loader, text, layout.CMDLINE_MAX - 1)
    placed = _place_after(loader, modules, end)
    memory_map = e820.memory_map(loader.ram, config.reserved)
    info = information(text_at, placed, memory_map, loader.ram[0][1])
    loader.put("multiboot info", layout.MULTIBOOT_INFO, info)
    regs = {"rax": BOOTLOADER_MAGIC, "rbx": layout.MULTIBOOT_INFO}
    return EntryState(mode="protected32", rip=entry, regs=regs)


def _place_after(loader: Loader, modules: list[Module], end: int) -> list[tuple[int, int, str]]:
    """Modules on the pages that follow the image, one after another, as small kernels expect."""
    placed = []
    at = max(end, layout.HIGH_MEMORY)
    for module in modules:
        at = at + layout.PAGE - 1 & ~(layout.PAGE - 1)
        source = module.source
        loader.put_file(source.what, at, source, (0, source.size), source.size)
        placed.append((at, source.size, module.text))
        at += source.size
    return placed


def information(
    text_at: int,
    modules: list[tuple[int, int, str]],
    memory: list[tuple[int, int, int]],
    low_ram: int,
) -> bytes:
    """The information structure, followed by the module list, memory map and strings."""
    mods_at = layout.MULTIBOOT_INFO + INFO_SIZE
    mmap_at = mods_at + MODULE_SIZE * len(modules)
    ranges = b"".join([pack("<IQQI", 20, base, size, kind) for base, size, kind in memory])
    strings_at = mmap_at + len(ranges)
    strings = LOADER_NAME.encode() + b"\0"
    entries = b""
    for base, size, text in modules:
        entries += pack("<IIII", base, base + size, strings_at + len(strings), 0)
        strings += cmdline.encode(text, AREA)
    flags = HAS_MEMORY | HAS_CMDLINE | HAS_MODULES | HAS_MMAP | HAS_LOADER_NAME
    lower = min(low_ram, layout.EBDA) // layout.KIB
    upper = max(low_ram - layout.HIGH_MEMORY, 0) // layout.KIB
    info = pack("<IIIIIII", flags, lower, upper, 0, text_at, len(modules), mods_at)
    info = info.ljust(44, b"\0") + pack("<II", len(ranges), mmap_at)
    info = info.ljust(64, b"\0") + pack("<I", strings_at)
    data = info.ljust(INFO_SIZE, b"\0") + entries + ranges + strings
    if len(data) > AREA:
        raise BootError(f"the multiboot info would need {len(data)} bytes; give fewer modules")
    return data
