"""The PVH boot protocol: 32-bit entry from an ELF note, struct hvm_start_info version 1 in EBX.

Structures: Xen's public/arch-x86/hvm/start_info.h; entry state: docs/misc/pvh.
"""

from __future__ import annotations

from struct import pack

from vmm import layout
from vmm.boot import cmdline, e820, paging
from vmm.boot.image import Image
from vmm.boot.loader import Loader
from vmm.boot.modules import Module, place_modules
from vmm.boot.records import BootConfig
from vmm.errors import BootError
from vmm.kvm.regs import EntryState

MAGIC = 0x336E_C578
INFO_SIZE, MODULE_SIZE, MEMMAP_SIZE = 56, 32, 24
AREA = layout.ZERO_PAGE - layout.START_INFO


def load(
    loader: Loader, config: BootConfig, image: Image, modules: list[Module], rsdp: int
) -> EntryState:
    """Place an ELF with a PHYS32_ENTRY note; modules go to the top of RAM below 4 GiB."""
    image.put_segments(loader)
    paging.put_gdt(loader, long_mode=False)
    text = cmdline.place(loader, config.cmdline, image.header.cmdline_size)
    placed = place_modules(loader, modules, image.header.initrd_addr_max + 1)
    memory = e820.memory_map(loader.ram, config.reserved)
    loader.put("start info", layout.START_INFO, start_info(text, placed, memory, rsdp))
    return EntryState(mode="protected32", rip=image.pvh_entry, regs={"rbx": layout.START_INFO})


def start_info(
    text: int,
    modules: list[tuple[int, int, str]],
    memory: list[tuple[int, int, int]],
    rsdp: int,
) -> bytes:
    """hvm_start_info followed by its module list, memory map and module strings."""
    modlist = layout.START_INFO + INFO_SIZE
    memmap = modlist + MODULE_SIZE * len(modules)
    strings_at = memmap + MEMMAP_SIZE * len(memory)
    entries, strings = b"", b""
    for base, size, args in modules:
        at = strings_at + len(strings) if args else 0
        entries += pack("<QQQQ", base, size, at, 0)
        strings += cmdline.encode(args, AREA) if args else b""
    info = pack(
        "<IIIIQQQQII",
        MAGIC,
        1,  # version
        0,  # flags
        len(modules),
        modlist if modules else 0,
        text,
        rsdp,
        memmap,
        len(memory),
        0,
    )
    ranges = b"".join([pack("<QQII", base, size, kind, 0) for base, size, kind in memory])
    data = info + entries + ranges + strings
    if len(data) > AREA:
        raise BootError(f"the PVH start info would need {len(data)} bytes; give fewer modules")
    return data
