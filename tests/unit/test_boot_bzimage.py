"""bzImages: header checks, unpacking with each compression, and the compacted ELF."""

from __future__ import annotations

import bz2
import lzma
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from struct import pack, pack_into

import lz4.block
import pytest
import zstandard

from tests import bootkit
from vmm.boot import bzimage, compact, elf
from vmm.boot.image import identify
from vmm.boot.source import memory_source
from vmm.boot.unpack import LZ4_LEGACY_BLOCK, LZ4_LEGACY_MAGIC, UNPACKED_MAX, unpack
from vmm.errors import BootError

KERNEL = bootkit.linux_elf()


def sized(packed: bytes, size: int = len(KERNEL)) -> bytes:
    """As the kernel's build does: the unpacked size behind the stream."""
    return packed + pack("<I", size)


def lz4_legacy(data: bytes) -> bytes:
    packed = LZ4_LEGACY_MAGIC
    for at in range(0, len(data), LZ4_LEGACY_BLOCK):
        block = lz4.block.compress(data[at : at + LZ4_LEGACY_BLOCK], store_size=False)
        packed += pack("<I", len(block)) + block
    return packed


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": bootkit.gzip_payload,
    "xz": lambda data: sized(lzma.compress(data, lzma.FORMAT_XZ), len(data)),
    "lzma": lambda data: sized(lzma.compress(data, lzma.FORMAT_ALONE), len(data)),
    "bzip2": lambda data: sized(bz2.compress(data), len(data)),
    "zstd": lambda data: sized(zstandard.compress(data), len(data)),
    "lz4": lambda data: sized(lz4_legacy(data), len(data)),
}


def parse(data: bytes) -> bzimage.SetupHeader:
    with memory_source("k", "kernel", [data]) as source:
        return bzimage.parse(source, source.head(4096))


def patched(offset: int, form: str, value: int) -> bytes:
    copy = bytearray(bootkit.bzimage())
    pack_into(form, copy, offset, value)
    return bytes(copy)


def test_the_header_is_read() -> None:
    header = parse(bootkit.bzimage())

    assert header.code_offset == 5 * 512
    assert header.payload_offset == 5 * 512 + bootkit.PAYLOAD_AT
    assert (header.cmdline_size, header.initrd_addr_max) == (2047, 0x7FFF_FFFF)
    assert (header.pref_address, header.kernel_alignment) == (0x100_0000, 0x20_0000)
    assert header.raw[0x202 - 0x1F1 : 0x206 - 0x1F1] == b"HdrS"
    assert len(header.raw) == 0x202 + 0x6A - 0x1F1


@pytest.mark.parametrize(
    ("offset", "form", "value", "words"),
    [
        (0x206, "<H", 0x20B, "boot protocol 2.11; 2.12"),
        (0x236, "<H", 0, "32-bit Linux kernel"),
        (0x211, "<B", 0, "zImage"),
        (0x1F1, "<B", 65, "kernel proper is missing"),
        (0x1F1, "<B", 255, "kernel proper is missing"),
        (0x1F4, "<I", 0x00FF_FFFF, "truncated"),
        (0x248, "<I", 0x7FFF_FFFF, "truncated"),
        (0x24C, "<I", 0xFFFF_FFFF, "truncated"),
        (0x258, "<Q", 1 << 63, "no kernel needs"),
        (0x260, "<I", 0xFFFF_FFFF, "no kernel needs"),
        (0x230, "<I", 0, "not a power of two"),
        (0x230, "<I", 0x30_0000, "not a power of two"),
    ],
)
def test_each_bad_header_field_is_refused(offset: int, form: str, value: int, words: str) -> None:
    with pytest.raises(BootError, match=words):
        parse(patched(offset, form, value))


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    data = bootkit.bzimage()

    for length in [*range(0x206, len(data) - 16, 37), 511, 512, 0x28F, 0x290, 5 * 512 + 0x200]:
        path = bootkit.write(tmp_path / "kernel", data[:length])
        with pytest.raises(BootError, match=r"truncated|EFI or DOS program"):
            identify(path)


@pytest.mark.parametrize("kind", PACKERS)
def test_each_compression_unpacks_to_the_same_kernel(kind: str) -> None:
    assert unpack(PACKERS[kind](KERNEL), "k") == KERNEL


def test_an_uncompressed_payload_is_taken_as_it_is() -> None:
    assert unpack(KERNEL, "k") == KERNEL


def test_lz4_payloads_of_several_blocks_unpack() -> None:
    data = bytes(range(256)) * (LZ4_LEGACY_BLOCK // 256) + b"the next block"

    assert unpack(PACKERS["lz4"](data), "k") == data


@pytest.mark.parametrize("kind", PACKERS)
def test_each_compression_notices_a_cut_stream(kind: str) -> None:
    packed = PACKERS[kind](KERNEL)

    with pytest.raises(BootError, match="damaged"):
        unpack(packed[: len(packed) // 2] + packed[-4:], "k")


@pytest.mark.parametrize("kind", PACKERS)
def test_each_compression_notices_a_wrong_size(kind: str) -> None:
    packed = PACKERS[kind](KERNEL)

    for size in (len(KERNEL) - 1, len(KERNEL) + 1):
        with pytest.raises(BootError, match="damaged"):
            unpack(packed[:-4] + pack("<I", size), "k")


@pytest.mark.parametrize("kind", PACKERS)
def test_a_stream_that_unpacks_to_more_than_it_says_is_cut_short(kind: str) -> None:
    packed = PACKERS[kind](bytes(50_000_000))

    with pytest.raises(BootError, match="damaged"):
        unpack(packed[:-4] + pack("<I", 4096), "k")


@pytest.mark.parametrize("size", [0, UNPACKED_MAX + 1, 0xFFFF_FFFF])
def test_absurd_sizes_are_refused_before_unpacking(size: int) -> None:
    with pytest.raises(BootError, match=f"claims to unpack to {size} bytes"):
        unpack(bootkit.gzip_payload(KERNEL)[:-4] + pack("<I", size), "k")


@pytest.mark.parametrize("length", [0, 4, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_lz4_block_lengths_are_checked(length: int) -> None:
    with pytest.raises(BootError, match="damaged"):
        unpack(LZ4_LEGACY_MAGIC + pack("<I", length) + bytes(8) + pack("<I", 100), "k")


def test_unknown_and_unsupported_compressions_point_to_the_guests_own_unpacker() -> None:
    for payload in (b"\x89LZO" + bytes(60) + b"\1\0\0\0", b"rubbish" * 9, b"\x1f\x8b"):
        with pytest.raises(BootError, match="--kaslr"):
            unpack(payload, "k")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)

    with pytest.raises(BootError, match="needs the Python package zstandard"):
        unpack(PACKERS["zstd"](KERNEL), "k")


def contents(source_data: bytes, base: int, length: int) -> bytes:
    """What loading the ELF leaves in memory at `base`."""
    found = bytearray(length)
    with memory_source("k", "kernel", [source_data]) as source:
        for s in elf.parse(source).loads():
            found[s.paddr - base : s.paddr - base + s.filesz] = source.read(s.offset, s.filesz)
    return bytes(found)


def compacted(image: bytes) -> bytes:
    with memory_source("k", "unpacked kernel", [image]) as source:
        return b"".join(compact.compact(source, image))


def parsed(image: bytes) -> tuple[elf.Elf, list[tuple[bytes, int, bytes]]]:
    with memory_source("k", "kernel", [image]) as source:
        found = elf.parse(source)
        return found, elf.notes(source, found)


def test_a_compacted_kernel_loads_to_the_same_memory() -> None:
    image = KERNEL + b"symbols and relocations" * 4000

    small = compacted(image)

    before, notes_before = parsed(image)
    after, notes_after = parsed(small)
    assert contents(small, 0x100_0000, 0x30_0000) == contents(image, 0x100_0000, 0x30_0000)
    assert (after.entry, after.end(), notes_after) == (before.entry, before.end(), notes_before)
    assert all(s.offset % 4096 == 0 for s in after.loads())
    assert len(small) < len(image) // 2  # the zeros and the rubbish behind are gone


def test_compacted_segments_cover_the_same_addresses() -> None:
    after, _ = parsed(compacted(KERNEL))

    covered = sorted((s.paddr, s.paddr + s.memsz) for s in after.loads())
    before, _ = parsed(KERNEL)
    first, last = before.loads()
    assert covered[0] == (first.paddr, first.paddr + first.memsz)
    assert covered[1][0] == last.paddr
    assert all(a[1] == b[0] for a, b in pairwise(covered[1:]))
    assert covered[-1][1] == last.paddr + last.memsz


def test_kernels_with_very_many_zero_runs_stay_within_the_header_cap() -> None:
    data = (b"x" * 4096 + bytes(8 * 4096)) * 200
    image = bootkit.elf([bootkit.Load(paddr=0x100_0000, data=data)])

    small = compacted(image)

    after, _ = parsed(small)
    assert len(after.segments) <= elf.PHNUM_MAX
    assert contents(small, 0x100_0000, len(data)) == data


@pytest.mark.parametrize(
    "data", [bytes(20 * 4096), bytes(20 * 4096) + b"x", b"x" + bytes(20 * 4096), b"x" * 5000]
)
def test_zeros_at_either_end_are_kept_as_memory(data: bytes) -> None:
    image = bootkit.elf([bootkit.Load(paddr=0x100_0000, data=data, memsz=len(data) + 5)])

    small = compacted(image)

    after, _ = parsed(small)
    assert contents(small, 0x100_0000, len(data)) == data
    assert sum(s.memsz for s in after.loads()) == len(data) + 5


def test_a_32_bit_kernel_inside_is_refused() -> None:
    image = bootkit.elf([bootkit.Load(paddr=0x100_0000, data=b"x")], bits=32)

    with pytest.raises(BootError, match="32-bit ELF inside"):
        compacted(image)
