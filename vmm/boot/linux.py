"""The 64-bit Linux boot protocol: zero page, command line, initrd, and the two ways in.

An unpacked ELF is entered at `startup_64`, which is where its header's entry points (a physical
address: the kernel's linker script says so). What the kernel's decompressor would have left in the
zero page is all here: RSDP address, memory map, loader type; and since it did not run, the
kernel stays at its linked address, without KASLR. With KASLR the bzImage's own decompressor
is entered at +0x200 instead. Specification: Documentation/arch/x86/{boot,zero-page}.rst.
"""

from __future__ import annotations

from struct import pack, pack_into

from vmm import layout
from vmm.boot import bzimage, cmdline, e820, early, paging
from vmm.boot.image import Image
from vmm.boot.loader import Loader
from vmm.boot.records import BootConfig
from vmm.boot.source import Source
from vmm.kvm.regs import EntryState

E820_TABLE = 0x2D0
E820_MAX = 128
LOADER_UNDEFINED = 0xFF  # type_of_loader: no assigned number
VID_MODE_NORMAL = 0xFFFF
XLF_CAN_BE_LOADED_ABOVE_4G = 2


def load_elf(
    loader: Loader, config: BootConfig, image: Image, initrd: Source | None, rsdp: int
) -> EntryState:
    """Enter an ELF64 kernel at its own entry, with a zero page in RSI."""
    image.put_segments(loader)
    return _enter(loader, config, image, initrd, rsdp, image.elf.entry)


def load_bzimage(
    loader: Loader, config: BootConfig, image: Image, initrd: Source | None, rsdp: int
) -> EntryState:
    """Enter a bzImage's decompressor, placed where the kernel prefers to run."""
    header = image.header
    align = header.kernel_alignment
    base = max(header.pref_address, layout.HIGH_MEMORY) + align - 1 & ~(align - 1)
    part = (header.code_offset, header.code_size)
    loader.expect(base, header.code_size)
    loader.put_file("kernel", base, image.source, part, max(header.init_size, header.code_size))
    early.expect_decompressor(loader, base, header)
    return _enter(loader, config, image, initrd, rsdp, base + bzimage.ENTRY64)


def _enter(
    loader: Loader, config: BootConfig, image: Image, initrd: Source | None, rsdp: int, entry: int
) -> EntryState:
    paging.put_gdt(loader, long_mode=True)
    paging.put_page_tables(loader)
    page = zero_page(image.header, rsdp)
    cmdline_at = cmdline.place(loader, config.cmdline, image.header.cmdline_size)
    pack_into("<I", page, 0x228, cmdline_at)
    base = initrd_base(loader, initrd, image.header) if initrd else 0
    early.expect_kernel(loader, image, (base, initrd.size if initrd else 0))
    if initrd:
        loader.put_file("initrd", base, initrd, (0, initrd.size), initrd.size)
        pack_into("<II", page, 0x218, base & 0xFFFF_FFFF, initrd.size & 0xFFFF_FFFF)
        pack_into("<II", page, 0xC0, base >> 32, initrd.size >> 32)
    put_e820(page, e820.memory_map(loader.ram, config.reserved))
    loader.put("zero page", layout.ZERO_PAGE, bytes(page))
    return EntryState(
        mode="long64",
        rip=entry,
        regs={"rsi": layout.ZERO_PAGE, "rsp": layout.BOOT_STACK_TOP},
    )


def zero_page(header: bzimage.SetupHeader, rsdp: int) -> bytearray:
    """struct boot_params with the kernel's setup header (a minimal one if it came without)."""
    page = bytearray(layout.PAGE)
    if header.raw:
        page[bzimage.HEADER : bzimage.HEADER + len(header.raw)] = header.raw
    else:
        page[0x1FE:0x208] = bzimage.BOOT_FLAG + b"\0\0" + bzimage.MAGIC + pack("<H", 0x20F)
        page[0x211] = bzimage.LOADED_HIGH
    pack_into("<H", page, 0x1FA, VID_MODE_NORMAL)
    page[0x210] = LOADER_UNDEFINED
    pack_into("<Q", page, 0x70, rsdp)
    return page


def put_e820(page: bytearray, entries: list[tuple[int, int, int]]) -> None:
    page[0x1E8] = len(entries)
    table = b"".join([pack("<QQI", *entry) for entry in entries[:E820_MAX]])
    page[E820_TABLE : E820_TABLE + len(table)] = table


def initrd_base(loader: Loader, initrd: Source, header: bzimage.SetupHeader) -> int:
    """As high as the kernel allows below 4 GiB; above, if it does not fit and the kernel can."""
    base = loader.find(initrd.size, header.initrd_addr_max + 1)
    flags = header.raw[0x236 - bzimage.HEADER] if header.raw else 0
    if base is None and flags & XLF_CAN_BE_LOADED_ABOVE_4G:
        base = loader.find(initrd.size, 1 << 46)
    if base is None:
        raise initrd.refuse(
            f"has {initrd.size} bytes, for which this VM's memory has no room "
            "beside the kernel; give it more memory or a smaller initrd"
        )
    return base
