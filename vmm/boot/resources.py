"""ACPI resource descriptors (ACPI 6.5, 6.4) for _CRS; `template` wraps them into a buffer."""

from __future__ import annotations

from struct import pack

from vmm.boot import aml

EDGE_HIGH, LEVEL_HIGH, LEVEL_LOW = 0x2, 0x0, 0x4  # extended interrupt flags: bit 1 edge, bit 2 low
SHARED = 0x8
CONSUMER = 0x1
MEMORY_RANGE, IO_RANGE, BUS_RANGE = range(3)
FIXED = 0x0C  # both ends of an address range are fixed
READ_WRITE, CACHEABLE_PREFETCH = 0x1, 0x6


def template(*descriptors: bytes) -> bytes:
    """A ResourceTemplate: descriptors, end tag, checksum left out (zero means "not computed")."""
    return aml.buffer(b"".join(descriptors) + b"\x79\0")


def io(base: int, length: int, alignment: int = 1) -> bytes:
    """Fixed I/O ports, 16-bit decoded."""
    return pack("<BBHHBB", 0x47, 1, base, base, alignment, length)


def irq(*lines: int) -> bytes:
    """ISA interrupts: edge-triggered, active high, exclusive."""
    return pack("<BH", 0x22, sum(1 << line for line in lines))


def interrupt(flags: int, *gsis: int) -> bytes:
    """Extended interrupt descriptor; `flags` are EDGE_HIGH, LEVEL_* and perhaps SHARED."""
    body = pack("<BB", flags | CONSUMER, len(gsis)) + pack(f"<{len(gsis)}I", *gsis)
    return pack("<BH", 0x89, len(body)) + body


def memory32_fixed(base: int, length: int, writable: bool = True) -> bytes:
    return pack("<BHBII", 0x86, 9, writable, base, length)


def bus_numbers(first: int, last: int) -> bytes:
    """Bus numbers a bridge produces."""
    count = last - first + 1
    return pack("<BHBBBHHHHH", 0x88, 13, BUS_RANGE, FIXED, 0, 0, first, last, 0, count)


def io_window(base: int, length: int) -> bytes:
    """I/O ports a bridge passes on (WordIO, entire range)."""
    return pack("<BHBBBHHHHH", 0x88, 13, IO_RANGE, FIXED, 3, 0, base, base + length - 1, 0, length)


def memory_window(base: int, length: int, prefetch: bool = False) -> bytes:
    """Memory a bridge passes on: DWordMemory where it fits, else QWordMemory."""
    flags = READ_WRITE | (CACHEABLE_PREFETCH if prefetch else 0)
    last = base + length - 1
    if last < 1 << 32:
        return pack("<BHBBBIIIII", 0x87, 23, MEMORY_RANGE, FIXED, flags, 0, base, last, 0, length)
    return pack("<BHBBBQQQQQ", 0x8A, 43, MEMORY_RANGE, FIXED, flags, 0, base, last, 0, length)
