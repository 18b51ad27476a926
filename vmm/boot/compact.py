"""Rewrites an unpacked kernel for fast loading.

The result is an ELF64 with the same entry, notes and memory contents. Symbols, section headers and
the relocation table behind the ELF are gone, segment contents start at page boundaries, and runs of
zeros became memory without file contents: guest RAM is zero already, so nobody copies them.
"""

from __future__ import annotations

from struct import pack

from vmm.boot import elf
from vmm.boot.source import Source

PAGE = 4096
ZERO_RUN = 8 * PAGE  # shorter runs are cheaper to read than to split around
PIECES_MAX = elf.PHNUM_MAX // 2  # per kernel; what comes after keeps its zeros


def compact(source: Source, image: bytes) -> list[bytes | memoryview]:
    """`image`, which `source` holds as a file too, rewritten: parts to write one after another."""
    parsed = elf.parse(source)
    if parsed.bits != 64:
        raise source.refuse("is a 32-bit ELF inside a 64-bit bzImage; the file is damaged")
    pieces: list[tuple[int, memoryview, int]] = []
    for load in parsed.loads():
        data = memoryview(image)[load.offset : load.offset + load.filesz]
        runs = _split(data, PIECES_MAX - len(pieces))
        ends = [start for start, _ in runs[1:]] + [load.memsz]
        pieces += [
            (load.paddr + start, data[start:stop], end - start)
            for (start, stop), end in zip(runs, ends, strict=True)
        ]
    notes = b"".join(
        image[s.offset : s.offset + s.filesz]
        for s in parsed.segments
        if s.type == elf.PT_NOTE and s.filesz <= elf.NOTES_MAX
    )
    return _assemble(parsed.entry, pieces, notes)


def _split(data: memoryview, pieces_max: int) -> list[tuple[int, int]]:
    """(start, stop) of what is not zero; the gaps are runs of at least ZERO_RUN, page aligned."""
    zeros = bytes(PAGE)
    length = len(data)
    found: list[tuple[int, int]] = []
    start = at = 0
    while at < length and len(found) < pieces_max:
        zero_end = at
        while zero_end < length and data[zero_end : zero_end + PAGE] == zeros[: length - zero_end]:
            zero_end += PAGE
        if zero_end - at >= ZERO_RUN:
            if at > start or start == 0:
                found.append((start, at))
            start = zero_end
        at = zero_end + PAGE
    if start < length:
        found.append((start, length))
    return found or [(0, 0)]


def _assemble(
    entry: int, pieces: list[tuple[int, memoryview, int]], notes: bytes
) -> list[bytes | memoryview]:
    count = len(pieces) + bool(notes)
    notes_at = 64 + 56 * count
    at = _page_up(notes_at + len(notes))
    headers = [
        b"\x7fELF\x02\x01\x01".ljust(16, b"\0"),
        pack("<HHIQQQI", elf.ET_EXEC, elf.EM_X86_64, 1, entry, 64, 0, 0),
        pack("<HHHHHH", 64, 56, count, 64, 0, 0),
    ]
    if notes:
        headers.append(pack("<IIQQQQQQ", elf.PT_NOTE, 4, notes_at, 0, 0, len(notes), len(notes), 4))
    body: list[bytes | memoryview] = []
    for paddr, data, memsz in pieces:
        headers.append(pack("<IIQQQQQQ", elf.PT_LOAD, 7, at, paddr, paddr, len(data), memsz, PAGE))
        padding = _page_up(len(data)) - len(data)
        body += [data, bytes(padding)]
        at += len(data) + padding
    head = b"".join(headers) + notes
    return [head, bytes(_page_up(len(head)) - len(head)), *body]


def _page_up(value: int) -> int:
    return value + PAGE - 1 & ~(PAGE - 1)
