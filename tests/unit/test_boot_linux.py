"""What the Linux 64-bit protocol leaves in guest memory, and where the boot vCPU starts."""

from __future__ import annotations

from pathlib import Path
from struct import unpack

import pytest

from tests import bootkit
from tests.bootkit import kernel, piece, u32, u64
from vmm import layout
from vmm.boot import BootConfig, load, prepare
from vmm.boot.e820 import RAM, RESERVED
from vmm.layout import GIB, MIB
from vmm.record import replace


def test_an_unpacked_kernel_is_entered_at_its_elf_entry(base: BootConfig) -> None:
    memory = bootkit.Memory()

    result = load(base, memory)

    assert (result.format, result.protocol, result.warm) == ("bzImage", "elf64", False)
    assert (result.entry.mode, result.entry.rip) == ("long64", 0x100_0004)
    assert result.entry.regs["rsi"] == layout.ZERO_PAGE
    assert memory.read(0x100_0000, 5000) == b"\xf4" * 5000
    assert memory.read(0x120_0000 + 100_004, 4) == b"tail"
    assert load(base, bootkit.Memory()).warm


def test_the_zero_page_says_where_everything_is(base: BootConfig) -> None:
    memory = bootkit.Memory()

    result = load(base, memory)

    zero = layout.ZERO_PAGE
    initrd = piece(result, "initrd")
    assert memory.read(zero + 0x1FE, 2) + memory.read(zero + 0x202, 4) == b"\x55\xaaHdrS"
    assert memory.read(zero + 0x210, 2) == b"\xff\x01"
    assert (u32(memory, zero + 0x218), u32(memory, zero + 0x21C)) == initrd
    assert u64(memory, zero + 0x70) == layout.ROM
    assert memory.string(u32(memory, zero + 0x228)) == "console=ttyS0 quiet"
    assert memory.read(zero + 0x1EF, 1) == b"\0"  # the sentinel: this is a clean boot_params
    assert memory.read(zero, 0x40) == bytes(0x40)  # no screen
    assert u64(memory, zero + 0xC0) == 0  # nothing above 4 GiB


def test_the_zero_page_holds_the_memory_map(base: BootConfig) -> None:
    memory = bootkit.Memory(6 * GIB)

    load(base, memory)

    table = memory.read(layout.ZERO_PAGE + 0x2D0, 20 * memory.read(layout.ZERO_PAGE + 0x1E8, 1)[0])
    entries = [unpack("<QQI", table[at : at + 20]) for at in range(0, len(table), 20)]
    assert entries == [
        (0, layout.EBDA, RAM),
        (layout.EBDA, MIB - layout.EBDA, RESERVED),
        (MIB, 3 * GIB - MIB, RAM),
        (layout.KVM_IDENTITY_MAP, 0x4000, RESERVED),
        (4 * GIB, 3 * GIB, RAM),
    ]


def test_the_initrd_lies_as_high_as_the_kernel_allows(base: BootConfig) -> None:
    small, big = bootkit.Memory(), bootkit.Memory(6 * GIB)

    in_small, in_big = (
        piece(load(base, small), "initrd"),
        piece(load(base, big), "initrd"),
    )

    assert in_small == (256 * MIB - 8192, 5000)
    assert in_big == (2 * GIB - 8192, 5000)
    assert small.read(in_small[0], 5000) == b"cpio" * 1250


def test_an_initrd_too_big_for_low_memory_goes_above_4_gib(base: BootConfig) -> None:
    huge = Path(base.initrd)
    with huge.open("r+b") as file:
        file.truncate(2100 * MIB)
    memory = bootkit.Memory(8 * GIB)
    loaded: list[tuple[int, int]] = []
    memory.load_file = lambda gpa, _fd, _at, n: loaded.append((gpa, n))  # type: ignore[method-assign,assignment]

    load(base, memory)

    at = 9 * GIB - 2100 * MIB
    assert loaded[-1] == (at, 2100 * MIB)
    assert u32(memory, layout.ZERO_PAGE + 0xC0) << 32 | u32(memory, layout.ZERO_PAGE + 0x218) == at


def test_page_tables_map_4_gib_to_themselves(base: BootConfig) -> None:
    memory = bootkit.Memory()

    load(base, memory)

    for address in (0, 0x1234, 0x100_0004, 3 * GIB + 77, 4 * GIB - 1):
        table = u64(memory, layout.BOOT_PAGE_TABLES + (address >> 39 & 511) * 8)
        table = u64(memory, (table & ~0xFFF) + (address >> 30 & 511) * 8)
        entry = u64(memory, (table & ~0xFFF) + (address >> 21 & 511) * 8)
        assert entry & 0x83 == 0x83
        assert (entry & ~0x1FFFFF) + (address & 0x1FFFFF) == address
    assert u64(memory, layout.BOOT_PAGE_TABLES + 8) == 0


def test_the_gdt_has_a_64_bit_code_segment(base: BootConfig) -> None:
    memory = bootkit.Memory()

    load(base, memory)

    code = u64(memory, layout.GDT + layout.BOOT_CS)
    data = u64(memory, layout.GDT + layout.BOOT_DS)
    assert (code >> 53 & 3, code >> 40 & 0xFF) == (1, 0x9B)  # L set, D clear; present, code
    assert (data >> 55 & 1, data >> 40 & 0xFF) == (1, 0x93)  # granular; present, data


def test_kaslr_enters_the_decompressor_where_the_kernel_prefers(base: BootConfig) -> None:
    memory = bootkit.Memory()

    result = load(replace(base, kaslr=True), memory)

    image = bootkit.bzimage()
    assert result.protocol == "linux"
    assert result.entry.rip == 0x100_0000 + 0x200
    assert piece(result, "kernel") == (0x100_0000, 0x80_0000)
    assert memory.read(0x100_0000, len(image) - 5 * 512) == image[5 * 512 :]
    assert memory.read(layout.ZERO_PAGE + 0x236, 2) == b"\x7f\0"


def test_a_bare_kernel_gets_a_header_of_its_own(base: BootConfig, tmp_path: Path) -> None:
    memory = bootkit.Memory()

    result = load(replace(base, kernel=kernel(tmp_path, bootkit.linux_elf())), memory)

    assert (result.format, result.protocol, result.warm) == ("ELF64", "elf64", True)
    assert memory.read(layout.ZERO_PAGE + 0x202, 6) == b"HdrS\x0f\x02"
    assert memory.read(layout.ZERO_PAGE + 0x211, 1) == b"\1"


def test_huge_pages_are_asked_for_before_the_kernel_is_copied(base: BootConfig) -> None:
    unpacked, packed = bootkit.Memory(), bootkit.Memory()

    load(base, unpacked)
    load(replace(base, kaslr=True), packed)

    assert unpacked.expected[0] == (0x100_0000, 0x20_0000 + 100_008 + 70_000)
    assert packed.expected[0] == (0x100_0000, len(bootkit.bzimage()) - 5 * 512)


@pytest.mark.parametrize("kaslr", [False, True])
def test_huge_pages_are_asked_for_where_a_kernel_allocates_first(
    base: BootConfig, kaslr: bool
) -> None:
    memory = bootkit.Memory()

    result = load(replace(base, kaslr=kaslr), memory)

    low, top, bottom = memory.expected[-3:]
    kernel = [p for p in result.pieces if p.name.startswith("kernel")]
    assert low == (0, 2 * MIB)
    assert sum(top) == sum(memory.ranges()[-1])
    assert bottom[0] == (kernel[0].base if kaslr else max(p.base + p.length for p in kernel))


def test_huge_pages_are_asked_for_on_both_sides_of_the_hole(base: BootConfig) -> None:
    memory = bootkit.Memory(6 << 30)

    load(base, memory)

    below, above = memory.ranges()
    top, swiotlb, bottom = memory.expected[-3:]
    assert sum(top) == sum(above)
    assert top[1] > (6 << 30) // 64
    assert sum(swiotlb) == sum(below)
    assert bottom[0] == above[0]


def test_a_decompressor_fills_a_place_that_only_it_knows(base: BootConfig) -> None:
    known, unknown = bootkit.Memory(), bootkit.Memory()

    load(base, known)
    load(replace(base, kaslr=True), unknown)

    assert known.expected_somewhere == []
    assert len(unknown.expected_somewhere) == 1
    assert unknown.expected_somewhere[0] % (2 * MIB) == 0


def test_no_huge_pages_are_asked_for_after_a_reset(base: BootConfig) -> None:
    memory = bootkit.Memory()

    with prepare(base) as prepared:
        prepared.load(memory, fresh=False)

    assert memory.expected == []


def test_without_acpi_there_is_no_rsdp_pointer(base: BootConfig) -> None:
    memory = bootkit.Memory()

    load(replace(base, acpi=None, initrd=""), memory)

    assert u64(memory, layout.ZERO_PAGE + 0x70) == 0
    assert u64(memory, layout.ZERO_PAGE + 0x218) == 0
    assert memory.read(layout.ROM, 8) == bytes(8)
