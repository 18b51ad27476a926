"""Where a Linux kernel first uses memory, announced so that huge pages are there before it comes.

Measured with stock kernels in 256 MiB to 6 GiB (docs/decisions/0006-guest-memory.md).
A wrong guess costs memory and some time, never more.
"""

from __future__ import annotations

from vmm import layout
from vmm.boot.bzimage import SetupHeader
from vmm.boot.image import Image
from vmm.boot.loader import Loader

BLOCK = 2 * layout.MIB
AT_TOP = 4 * layout.MIB  # beside what grows with memory: log buffer, page tables, per-CPU areas
STRUCT_PAGES = 64  # 1/64 of all memory: 64 bytes a page of 4 KiB
HASH_TABLES = 512  # 1/512: directory entries, inodes, network
SWIOTLB = 64 * layout.MIB  # bounce buffer below 4 GiB, made when there is RAM above
AT_BOTTOM = 20 * layout.MIB  # from where the page allocator begins
AT_BOTTOM_OF_HIGH = 30 * layout.MIB
COPY_EXTRA = layout.MIB  # stack, heap and page tables behind a decompressor's image


def expect_kernel(loader: Loader, image: Image, initrd: tuple[int, int]) -> None:
    """A booting kernel beside its image; `initrd` is where that will be: base and length.

    memblock hands out memory from the top of the last range downwards, below the initrd if that is
    there; the page allocator then begins at the bottom.
    """
    total = sum(size for _, size in loader.ram)
    loader.expect(0, BLOCK)
    _expect_top(loader, -1, total // STRUCT_PAGES + total // HASH_TABLES + AT_TOP, initrd)
    if len(loader.ram) == 1:
        kernel = [p for p in loader.pieces if p.name.startswith("kernel")]
        moves = image.protocol == "linux"  # and leaves its place free
        bottom = kernel[0].base if moves else max(p.base + p.length for p in kernel)
        loader.expect(bottom, AT_BOTTOM)
        return
    _expect_top(loader, 0, SWIOTLB, initrd)
    loader.expect(loader.ram[-1][0], AT_BOTTOM_OF_HIGH)


def expect_decompressor(loader: Loader, base: int, header: SetupHeader) -> None:
    """A bzImage's own program at `base`: it copies itself to the end of the space it asks for, and
    unpacks the kernel there, or with KASLR wherever it likes."""
    end = base + header.init_size
    copy = end - header.code_size - COPY_EXTRA & -BLOCK
    loader.expect(max(copy, base), (end + BLOCK - 1 & -BLOCK) - max(copy, base))
    loader.expect_somewhere(header.init_size + BLOCK - 1 & -BLOCK)


def _expect_top(loader: Loader, which: int, length: int, initrd: tuple[int, int]) -> None:
    start, size = loader.ram[which]
    end = start + size
    base, initrd_size = initrd
    at_top = start <= base and end - BLOCK < base + initrd_size <= end
    first = max((base if at_top else end) - length, start)
    loader.expect(first, end - first)
