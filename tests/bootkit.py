"""Builds boot images piece by piece, and a guest memory that remembers what was written to it."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from struct import pack, pack_into, unpack

from vmm import layout
from vmm.boot import AcpiConfig, BootConfig, BootResult
from vmm.record import Record

PAYLOAD_AT = 0x2CC  # where the kernel's build puts it, from the protected-mode part
NOTE_PVH, NOTE_GUEST_OS = 18, 6


class Memory:
    """Sparse guest RAM. Writing outside RAM raises ValueError, as the real one does."""

    def __init__(self, size: int = 256 * layout.MIB) -> None:
        self.size = size
        self.chunks: list[tuple[int, bytes]] = []
        self.zeroed: list[tuple[int, int]] = []
        self.expected: list[tuple[int, int]] = []
        self.expected_somewhere: list[int] = []

    def ranges(self) -> list[tuple[int, int]]:
        return layout.ram_ranges(self.size)

    def write(self, gpa: int, data: bytes | bytearray | memoryview) -> None:
        inside = any(base <= gpa and gpa + len(data) <= base + n for base, n in self.ranges())
        if not inside:
            raise ValueError(f"{gpa:#x} is not RAM")
        self.chunks.append((gpa, bytes(data)))

    def zero(self, gpa: int, length: int) -> None:
        self.zeroed.append((gpa, length))

    def huge(self, gpa: int, length: int) -> None:
        self.expected.append((gpa, length))

    def huge_on_fill(self, length: int) -> None:
        self.expected_somewhere.append(length)

    def load_file(self, gpa: int, fd: int, offset: int, length: int) -> None:
        data = os.pread(fd, length, offset)
        assert len(data) == length
        self.write(gpa, data)

    def read(self, gpa: int, length: int) -> bytes:
        """What a guest would find there; later writes win, RAM starts as zeros."""
        found = bytearray(length)
        for base, data in self.chunks:
            start, end = max(base, gpa), min(base + len(data), gpa + length)
            if start < end:
                found[start - gpa : end - gpa] = data[start - base : end - base]
        return bytes(found)

    def string(self, gpa: int) -> str:
        return self.read(gpa, 4096).split(b"\0", 1)[0].decode()


class Load(Record):
    """A PT_LOAD segment to be built."""

    paddr: int
    data: bytes
    memsz: int = 0  # 0: as long as the data


def note(name: bytes, kind: int, desc: bytes) -> bytes:
    def padded(part: bytes) -> bytes:
        return part + bytes(-len(part) % 4)

    return pack("<III", len(name) + 1, len(desc), kind) + padded(name + b"\0") + padded(desc)


def pvh_note(entry: int) -> bytes:
    return note(b"Xen", NOTE_PVH, pack("<Q", entry))


LINUX_NOTE = note(b"Xen", NOTE_GUEST_OS, b"linux\0")


def elf(
    loads: list[Load],
    *,
    bits: int = 64,
    entry: int = 0x10_0000,
    notes: bytes = b"",
    head: bytes = b"",
) -> bytes:
    """An executable. `head` comes right behind the program headers: multiboot headers go there."""
    wide = bits == 64
    header_size, phdr_size = (64, 56) if wide else (52, 32)
    count = len(loads) + bool(notes)
    notes_at = header_size + phdr_size * count + len(head)
    at = notes_at + len(notes)
    phdrs, body = b"", b""
    if notes:
        phdrs += _phdr(wide, 4, notes_at, 0, len(notes), len(notes))
    for load in loads:
        memsz = load.memsz or len(load.data)
        phdrs += _phdr(wide, 1, at + len(body), load.paddr, len(load.data), memsz)
        body += load.data
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    machine = 62 if wide else 3
    words = (entry, header_size, 0)
    rest = pack("<HHHHHH", header_size, phdr_size, count, 0, 0, 0)
    header = ident + pack("<HHI", 2, machine, 1) + pack("<QQQ" if wide else "<III", *words)
    return header + pack("<I", 0) + rest + phdrs + head + notes + body


def _phdr(wide: bool, kind: int, offset: int, paddr: int, filesz: int, memsz: int) -> bytes:
    if wide:
        return pack("<IIQQQQQQ", kind, 7, offset, paddr, paddr, filesz, memsz, 0)
    return pack("<IIIIIIII", kind, offset, paddr, paddr, filesz, memsz, 7, 0)


def linux_elf(text: bytes = b"\xf4" * 5000, *, pvh: int = 0x100_0010) -> bytes:
    """What a bzImage holds: text and data with a long hole of zeros, Linux and PVH notes."""
    data = b"data" + bytes(100_000) + b"tail"
    loads = [
        Load(paddr=0x100_0000, data=text),
        Load(paddr=0x120_0000, data=data, memsz=len(data) + 70_000),
    ]
    return elf(loads, entry=0x100_0004, notes=LINUX_NOTE + (pvh_note(pvh) if pvh else b""))


def gzip_payload(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush()


def bzimage(payload: bytes = b"", *, version: int = 0x20F, xloadflags: int = 0x7F) -> bytes:
    """A bzImage with four setup sectors around `payload` (default: a small gzipped kernel)."""
    payload = payload or gzip_payload(linux_elf())
    setup = bytearray(5 * 512)
    code = bytearray(PAYLOAD_AT) + payload
    code += bytes(-len(code) % 16)
    setup[0:2] = b"MZ"
    setup[0x1F1] = 4
    pack_into("<I", setup, 0x1F4, len(code) // 16)
    setup[0x1FE:0x200] = b"\x55\xaa"
    setup[0x200:0x206] = b"\xeb\x6aHdrS"
    pack_into("<H", setup, 0x206, version)
    setup[0x211] = 1
    pack_into("<I", setup, 0x22C, 0x7FFF_FFFF)
    pack_into("<I", setup, 0x230, 0x20_0000)
    setup[0x234] = 1
    pack_into("<H", setup, 0x236, xloadflags)
    pack_into("<I", setup, 0x238, 2047)
    pack_into("<II", setup, 0x248, PAYLOAD_AT, len(payload))
    pack_into("<Q", setup, 0x258, 0x100_0000)
    pack_into("<I", setup, 0x260, 0x80_0000)
    return bytes(setup) + bytes(code)


def multiboot_header(flags: int = 0, *addresses: int) -> bytes:
    magic = 0x1BAD_B002
    return pack("<III", magic, flags, -(magic + flags) & 0xFFFF_FFFF) + pack(
        f"<{len(addresses)}I", *addresses
    )


def write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def kernel(folder: Path, data: bytes) -> str:
    """Another one than config() has."""
    return write(folder / "other", data)


def config(folder: Path) -> BootConfig:
    """A bzImage, an initrd of 5,000 bytes and a command line."""
    return BootConfig(
        kernel=write(folder / "kernel", bzimage()),
        initrd=write(folder / "initrd", b"cpio" * 1250),
        cmdline="console=ttyS0 quiet",
        acpi=AcpiConfig(),
        cache_dir=str(folder / "cache"),
    )


def piece(result: BootResult, name: str) -> tuple[int, int]:
    """Address and length."""
    (found,) = [(p.base, p.length) for p in result.pieces if p.name == name]
    return found


def u32(memory: Memory, at: int) -> int:
    return int(unpack("<I", memory.read(at, 4))[0])


def u64(memory: Memory, at: int) -> int:
    return int(unpack("<Q", memory.read(at, 8))[0])
