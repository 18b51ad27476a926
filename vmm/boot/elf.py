"""Strict parser for the parts of ELF that booting needs: header, program headers, notes.

Nothing in the file is believed before it was compared with the file's size or with a cap, and no
loop is longer than the caps below. Section headers and symbols are never looked at.
"""

from __future__ import annotations

from struct import unpack_from

from vmm.boot.source import Source
from vmm.record import Record

MAGIC = b"\x7fELF"
EM_386, EM_X86_64 = 3, 62
ET_EXEC, ET_DYN = 2, 3
PT_LOAD, PT_NOTE = 1, 4
MACHINES = {
    EM_386: "i386",
    EM_X86_64: "x86-64",
    8: "MIPS",
    20: "PowerPC",
    21: "PowerPC64",
    22: "s390",
    40: "ARM",
    183: "aarch64",
    243: "RISC-V",
    258: "LoongArch",
}

PHNUM_MAX = 128
NOTES_MAX = 64 << 10  # bytes of one PT_NOTE segment
ADDRESS_MAX = 1 << 46  # above every physical address a guest can have

XEN_ELFNOTE_GUEST_OS = 6
XEN_ELFNOTE_PHYS32_ENTRY = 18


class Segment(Record):
    """One program header; `paddr + memsz` is at most ADDRESS_MAX, the file part is in the file."""

    type: int
    offset: int
    paddr: int
    filesz: int
    memsz: int


class Elf(Record):
    bits: int
    machine: int
    entry: int
    segments: tuple[Segment, ...]

    def loads(self) -> list[Segment]:
        """PT_LOAD segments that occupy memory."""
        return [s for s in self.segments if s.type == PT_LOAD and s.memsz]

    def end(self) -> int:
        """First physical address after all segments."""
        return max(s.paddr + s.memsz for s in self.loads())


def parse(source: Source) -> Elf:
    """Read and check the headers of `source`, which starts with MAGIC; BootError tells faults."""
    head = source.read(0, 52)
    bits = {1: 32, 2: 64}.get(head[4])
    if bits is None or head[5] not in (1, 2):
        raise source.refuse("is not a valid ELF file: unknown class or byte order")
    order = "<" if head[5] == 1 else ">"
    kind, machine = unpack_from(order + "HH", head, 16)
    if machine not in (EM_386, EM_X86_64) or order == ">":
        name = MACHINES.get(machine, f"machine {machine}")
        raise source.refuse(f"is built for {name}; this VM runs x86-64 kernels only")
    if kind not in (ET_EXEC, ET_DYN):
        raise source.refuse(f"is ELF but not executable (type {kind}); give the linked kernel")
    if bits == 64:
        head = source.read(0, 64)
        entry, phoff = unpack_from("<QQ", head, 24)
        phentsize, phnum = unpack_from("<HH", head, 54)
    else:
        entry, phoff = unpack_from("<II", head, 24)
        phentsize, phnum = unpack_from("<HH", head, 42)
    expected = 56 if bits == 64 else 32
    if phnum == 0 or phentsize != expected:
        raise source.refuse(
            f"is ELF with {phnum} program headers of {phentsize} bytes; none usable"
        )
    if phnum > PHNUM_MAX:
        raise source.refuse(f"has {phnum} program headers, more than the {PHNUM_MAX} supported")
    table = source.read(phoff, phnum * phentsize)
    segments = tuple(
        _segment(source, bits, table, at) for at in range(0, phnum * phentsize, phentsize)
    )
    elf = Elf(bits=bits, machine=machine, entry=entry, segments=segments)
    if not elf.loads():
        raise source.refuse("is ELF with nothing to load; give the linked kernel")
    return elf


def _segment(source: Source, bits: int, table: bytes, at: int) -> Segment:
    if bits == 64:
        kind, _flags, offset, _vaddr, paddr, filesz, memsz = unpack_from("<IIQQQQQ", table, at)
    else:
        kind, offset, _vaddr, paddr, filesz, memsz = unpack_from("<IIIIII", table, at)
    if kind in (PT_LOAD, PT_NOTE) and offset + filesz > source.size:
        raise source.refuse(
            f"is truncated: a segment needs {filesz} bytes at {offset}, "
            f"the file has {source.size}; get the whole file"
        )
    if kind == PT_LOAD:
        if filesz > memsz:
            raise source.refuse(f"has a segment with {filesz} bytes of file for {memsz} of memory")
        if paddr + memsz > ADDRESS_MAX:
            raise source.refuse(f"wants memory up to {paddr + memsz:#x}, beyond any RAM")
    return Segment(type=kind, offset=offset, paddr=paddr, filesz=filesz, memsz=memsz)


def notes(source: Source, elf: Elf) -> list[tuple[bytes, int, bytes]]:
    """(name, type, description) of every complete note. A malformed rest ends the list."""
    found = []
    for segment in elf.segments:
        if segment.type != PT_NOTE:
            continue
        data = source.read(segment.offset, min(segment.filesz, NOTES_MAX))
        at = 0
        while at + 12 <= len(data):
            namesz, descsz, kind = unpack_from("<III", data, at)
            name_at = at + 12
            desc_at = name_at + (namesz + 3 & ~3)
            at = desc_at + (descsz + 3 & ~3)  # always 12 or more further on
            if desc_at + descsz > len(data):
                break
            name = data[name_at : name_at + namesz].rstrip(b"\0")
            found.append((name, kind, data[desc_at : desc_at + descsz]))
    return found


def pvh_entry(found: list[tuple[bytes, int, bytes]]) -> int | None:
    """The 32-bit entry that XEN_ELFNOTE_PHYS32_ENTRY gives, or None."""
    for name, kind, desc in found:
        if name == b"Xen" and kind == XEN_ELFNOTE_PHYS32_ENTRY and len(desc) in (4, 8):
            entry = int.from_bytes(desc, "little")
            if 0 < entry < 1 << 32:
                return entry
    return None


def is_linux(found: list[tuple[bytes, int, bytes]]) -> bool:
    """Whether the notes are those of a Linux kernel, whose ELF entry takes a zero page."""
    return any(
        name == b"Linux"
        or (name == b"Xen" and kind == XEN_ELFNOTE_GUEST_OS and desc[:5] == b"linux")
        for name, kind, desc in found
    )
