"""The multiboot 1 header: where it is and what it asks for (Multiboot Specification 0.6.96)."""

from __future__ import annotations

from struct import pack, unpack_from

from vmm.boot.source import Source
from vmm.record import Record

HEADER_MAGIC = 0x1BAD_B002
SEARCH = 8192
ALIGN_MODULES, MEMORY_INFO, VIDEO_MODE, ADDRESSES = 1, 2, 4, 1 << 16
UNDERSTOOD = ALIGN_MODULES | MEMORY_INFO
MUST_UNDERSTAND = 0xFFFF


class MultibootHeader(Record):
    """`addresses`: (file offset, load address, file and memory length, entry), or None for ELF."""

    flags: int
    addresses: tuple[int, int, int, int, int] | None


def find(source: Source, head: bytes) -> MultibootHeader | None:
    """The first 4-byte aligned header with a right checksum in `head`, checked against the file."""
    head = head[:SEARCH]
    magic = pack("<I", HEADER_MAGIC)
    at = head.find(magic)
    while at >= 0:
        if at % 4 == 0 and at + 12 <= len(head):
            _, flags, checksum = unpack_from("<III", head, at)
            if (HEADER_MAGIC + flags + checksum) & 0xFFFF_FFFF == 0:
                return _check(source, head, at, flags)
        at = head.find(magic, at + 1)
    return None


def _check(source: Source, head: bytes, at: int, flags: int) -> MultibootHeader:
    unknown = flags & MUST_UNDERSTAND & ~UNDERSTOOD
    if unknown == VIDEO_MODE:
        raise source.refuse(
            "is a multiboot image that demands a video mode; this VM has no display"
        )
    if unknown:
        raise source.refuse(f"is a multiboot image that demands unknown features {unknown:#x}")
    if not flags & ADDRESSES:
        return MultibootHeader(flags=flags, addresses=None)
    if at + 32 > len(head):
        raise source.refuse("has a multiboot header that is cut off; get the whole file")
    header_addr, load, load_end, bss_end, entry = unpack_from("<IIIII", head, at + 12)
    offset = at - (header_addr - load)
    if header_addr < load or offset < 0:
        raise source.refuse(
            f"has a multiboot header whose load address {load:#x} lies before the file; "
            "it is damaged"
        )
    length = load_end - load if load_end else source.size - offset
    memory = bss_end - load if bss_end else length
    if length <= 0 or offset + length > source.size:
        raise source.refuse(
            f"is truncated: its multiboot header asks for {length} bytes at {offset}, "
            f"the file has {source.size}; get the whole file"
        )
    if memory < length:
        raise source.refuse("has a multiboot header whose bss ends inside its data; it is damaged")
    if not load <= entry < load + memory:
        raise source.refuse(
            f"has a multiboot entry {entry:#x} outside the loaded image; it is damaged"
        )
    return MultibootHeader(flags=flags, addresses=(offset, load, length, memory, entry))
