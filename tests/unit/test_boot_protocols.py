"""What each boot protocol leaves in guest memory, and in which state the boot vCPU starts."""

from __future__ import annotations

from pathlib import Path
from struct import unpack

import pytest

from tests import bootkit
from vmm import layout
from vmm.boot import AcpiConfig, BootConfig, BootResult, load, prepare
from vmm.boot.e820 import RAM, RESERVED
from vmm.boot.plan import plan
from vmm.errors import BootError
from vmm.record import replace

GIB, MIB = layout.GIB, layout.MIB
MULTIBOOT = bootkit.multiboot_header(3)


@pytest.fixture
def base(tmp_path: Path) -> BootConfig:
    """A bzImage, an initrd of 5,000 bytes and a command line."""
    return BootConfig(
        kernel=bootkit.write(tmp_path / "kernel", bootkit.bzimage()),
        initrd=bootkit.write(tmp_path / "initrd", b"cpio" * 1250),
        cmdline="console=ttyS0 quiet",
        acpi=AcpiConfig(),
        cache_dir=str(tmp_path / "cache"),
    )


def kernel(tmp_path: Path, data: bytes) -> str:
    return bootkit.write(tmp_path / "other", data)


def piece(result: BootResult, name: str) -> tuple[int, int]:
    (found,) = [(p.base, p.length) for p in result.pieces if p.name == name]
    return found


def u32(memory: bootkit.Memory, at: int) -> int:
    return int(unpack("<I", memory.read(at, 4))[0])


def u64(memory: bootkit.Memory, at: int) -> int:
    return int(unpack("<Q", memory.read(at, 8))[0])


# --- Linux, 64-bit ------------------------------------------------------------------------------


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

    in_small, in_big = piece(load(base, small), "initrd"), piece(load(base, big), "initrd")

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


def test_huge_pages_are_asked_for_where_a_kernel_allocates_first(base: BootConfig) -> None:
    memory = bootkit.Memory()

    result = load(base, memory)

    _kernel, top, bottom, above = memory.expected
    end = max(p.base + p.length for p in result.pieces if p.name.startswith("kernel"))
    assert sum(top) == sum(memory.ranges()[-1])
    assert bottom == (0, 2 * MIB)
    assert above[0] == end
    assert sum(above) <= sum(memory.ranges()[0])


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


# --- PVH ----------------------------------------------------------------------------------------


def test_pvh_is_entered_with_start_info(base: BootConfig) -> None:
    memory = bootkit.Memory()

    result = load(replace(base, protocol="pvh"), memory)

    info = layout.START_INFO
    assert (result.entry.mode, result.entry.rip) == ("protected32", 0x100_0010)
    assert result.entry.regs == {"rbx": info}
    assert (u32(memory, info), u32(memory, info + 4)) == (0x336E_C578, 1)
    assert memory.string(u64(memory, info + 24)) == "console=ttyS0 quiet"
    assert u64(memory, info + 32) == layout.ROM
    modules, count = u64(memory, info + 16), u32(memory, info + 12)
    assert count == 1
    assert (u64(memory, modules), u64(memory, modules + 8)) == piece(result, "initrd")
    memmap, entries = u64(memory, info + 40), u32(memory, info + 48)
    assert entries == 4
    assert unpack("<QQII", memory.read(memmap, 24)) == (0, layout.EBDA, RAM, 0)


def test_pvh_modules_follow_the_initrd_with_their_strings(base: BootConfig, tmp_path: Path) -> None:
    extra = bootkit.write(tmp_path / "extra", b"module")
    memory = bootkit.Memory()

    load(replace(base, protocol="pvh", modules=((extra, "one two"),)), memory)

    second = u64(memory, layout.START_INFO + 16) + 32
    assert memory.read(u64(memory, second), 6) == b"module"
    assert u64(memory, second + 8) == 6
    assert memory.string(u64(memory, second + 16)) == f"{extra} one two"


def test_pvh_code_segments_are_32_bit(base: BootConfig) -> None:
    memory = bootkit.Memory()

    load(replace(base, protocol="pvh"), memory)

    code = u64(memory, layout.GDT + layout.BOOT_CS)
    assert code >> 53 & 3 == 2  # D set, L clear
    assert memory.read(layout.BOOT_PAGE_TABLES, 8) == bytes(8)


# --- Multiboot ----------------------------------------------------------------------------------


def test_multiboot_elf_with_a_huge_bss(base: BootConfig, tmp_path: Path) -> None:
    code = bootkit.Load(paddr=0x10_0000, data=b"code" * 100, memsz=80_000)
    data = bootkit.elf([code], bits=32, entry=0x10_0010, head=MULTIBOOT)
    extra = bootkit.write(tmp_path / "extra", b"module")
    path = kernel(tmp_path, data)
    memory = bootkit.Memory()

    result = load(replace(base, kernel=path, modules=((extra, "arg"),)), memory)

    info = layout.MULTIBOOT_INFO
    assert (result.entry.mode, result.entry.rip) == ("protected32", 0x10_0010)
    assert result.entry.regs == {"rax": 0x2BAD_B002, "rbx": info}
    assert u32(memory, info) == 1 | 4 | 8 | 64 | 512
    assert (u32(memory, info + 4), u32(memory, info + 8)) == (639, 255 * 1024)
    assert memory.string(u32(memory, info + 16)) == f"{path} console=ttyS0 quiet"
    assert memory.string(u32(memory, info + 64)) == "vmm"
    first = u32(memory, info + 24)
    assert u32(memory, info + 20) == 2
    after_image = 0x10_0000 + 80_000 + 4095 & ~4095
    assert (u32(memory, first), u32(memory, first + 4)) == (after_image, after_image + 5000)
    assert memory.string(u32(memory, first + 24)) == f"{extra} arg"
    assert memory.read(u32(memory, first + 16), 6) == b"module"


def test_multiboot_memory_maps_have_entries_of_24_bytes(base: BootConfig, tmp_path: Path) -> None:
    code = bootkit.Load(paddr=0x10_0000, data=b"code")
    path = kernel(tmp_path, bootkit.elf([code], bits=32, head=MULTIBOOT))
    memory = bootkit.Memory(6 * GIB)

    load(replace(base, kernel=path), memory)

    length, at = u32(memory, layout.MULTIBOOT_INFO + 44), u32(memory, layout.MULTIBOOT_INFO + 48)
    entries = [unpack("<IQQI", memory.read(a, 24)) for a in range(at, at + length, 24)]
    assert entries[0] == (20, 0, layout.EBDA, RAM)
    assert entries[-1] == (20, 4 * GIB, 3 * GIB, RAM)


def test_multiboot_address_fields_beat_the_elf_header(base: BootConfig, tmp_path: Path) -> None:
    header_at = 64 + 56
    load_at = 0x20_0000
    fields = (load_at + header_at, load_at, 0, load_at + 0x5000, load_at + header_at + 32)
    head = bootkit.multiboot_header(1 << 16, *fields)
    data = bootkit.elf([bootkit.Load(paddr=0x10_0000, data=b"elsewhere")], head=head)
    memory = bootkit.Memory()

    result = load(replace(base, kernel=kernel(tmp_path, data)), memory)

    assert result.entry.rip == load_at + header_at + 32
    assert memory.read(load_at, len(data)) == data
    assert piece(result, "kernel") == (load_at, 0x5000)


def test_a_64_bit_multiboot_elf_enters_in_32_bit_mode(base: BootConfig, tmp_path: Path) -> None:
    data = bootkit.elf([bootkit.Load(paddr=0x10_0000, data=b"code")], head=MULTIBOOT)

    result = load(replace(base, kernel=kernel(tmp_path, data)), bootkit.Memory())

    assert (result.entry.mode, result.entry.rip) == ("protected32", 0x10_0000)


def test_a_multiboot_entry_above_4_gib_is_refused(base: BootConfig, tmp_path: Path) -> None:
    code = bootkit.Load(paddr=0x10_0000, data=b"code")
    data = bootkit.elf([code], entry=4 * GIB, head=MULTIBOOT)

    with pytest.raises(BootError, match="above 4 GiB"):
        load(replace(base, kernel=kernel(tmp_path, data)), bootkit.Memory())


# --- Flat ---------------------------------------------------------------------------------------


def test_flat_images_start_in_real_mode_where_a_boot_sector_does(
    base: BootConfig, tmp_path: Path
) -> None:
    memory = bootkit.Memory(2 * MIB)
    config = replace(base, kernel=kernel(tmp_path, b"\xf4" * 9), initrd="", protocol="flat")

    result = load(config, memory)

    assert (result.entry.mode, result.entry.rip) == ("real16", 0x7C00)
    assert memory.read(0x7C00, 10) == b"\xf4" * 9 + b"\0"


# --- Bad input ----------------------------------------------------------------------------------


def test_a_kernel_beyond_the_end_of_memory_is_refused(base: BootConfig) -> None:
    with pytest.raises(BootError, match=r"0x1000000.*not RAM in a VM with 16 MiB; give it more"):
        load(base, bootkit.Memory(16 * MIB))


def test_an_initrd_too_large_for_memory_is_refused(base: BootConfig) -> None:
    with open(base.initrd, "r+b") as file:
        file.truncate(300 * MIB)

    with pytest.raises(BootError, match=r"has 314572800 bytes, for which .* no room"):
        load(base, bootkit.Memory())


def test_a_missing_initrd_is_refused_before_anything_is_loaded(base: BootConfig) -> None:
    with pytest.raises(BootError, match=r"initrd .* does not exist"):
        prepare(replace(base, initrd=base.initrd + ".gone"))


def test_a_missing_module_is_refused(base: BootConfig) -> None:
    with pytest.raises(BootError, match=r"module .* does not exist"):
        prepare(replace(base, protocol="pvh", modules=(("/nowhere/at/all", ""),)))


@pytest.mark.parametrize("protocol", ["auto", "linux", "elf64", "flat"])
def test_modules_that_cannot_be_handed_over_are_refused(base: BootConfig, protocol: str) -> None:
    with pytest.raises(BootError, match=r"takes no modules|flat real-mode|no initrd"):
        prepare(replace(base, protocol=protocol, modules=((base.initrd, ""),)))


def test_a_flat_image_takes_no_initrd(base: BootConfig, tmp_path: Path) -> None:
    with pytest.raises(BootError, match="takes no initrd"):
        prepare(replace(base, kernel=kernel(tmp_path, b"\xf4"), protocol="flat"))


def test_too_many_modules_are_refused(base: BootConfig) -> None:
    with pytest.raises(BootError, match="33 boot modules"):
        prepare(replace(base, protocol="pvh", modules=((base.initrd, ""),) * 33))


@pytest.mark.parametrize("protocol", ["pvh", "multiboot"])
def test_module_strings_beyond_the_info_area_are_refused(
    base: BootConfig, tmp_path: Path, protocol: str
) -> None:
    code = bootkit.Load(paddr=0x10_0000, data=b"code")
    data = bootkit.elf([code], bits=32, head=MULTIBOOT, notes=bootkit.pvh_note(0x10_0000))
    config = replace(
        base,
        kernel=kernel(tmp_path, data),
        protocol=protocol,
        modules=((base.initrd, "x" * 3000),) * 2,
    )

    with pytest.raises(BootError, match="give fewer modules"):
        load(config, bootkit.Memory())


@pytest.mark.parametrize(
    ("cmdline", "words"),
    [
        ("x" * 2048, "has 2048 bytes, this kernel takes 2047"),
        ("a\0b", "NUL"),
        ("\ud900", "not text"),
    ],
)
def test_bad_command_lines_are_refused(base: BootConfig, cmdline: str, words: str) -> None:
    with pytest.raises(BootError, match=words):
        prepare(replace(base, cmdline=cmdline))


def test_the_longest_command_line_fits(base: BootConfig) -> None:
    memory = bootkit.Memory()

    load(replace(base, cmdline="x" * 2047), memory)

    assert memory.read(layout.CMDLINE, 2049) == b"x" * 2047 + b"\0\0"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (layout.GDT, "GDT"),
        (layout.ZERO_PAGE, "zero page"),
        (layout.BOOT_PAGE_TABLES + 0x5000, "page tables"),
        (layout.CMDLINE, "command line"),
        (layout.ACPI_TABLES, "ACPI tables"),
        (layout.ROM, "ACPI RSDP"),
        (layout.SMBIOS, "SMBIOS"),
    ],
)
def test_kernels_over_boot_structures_are_refused(
    base: BootConfig, tmp_path: Path, address: int, name: str
) -> None:
    data = bootkit.elf([bootkit.Load(paddr=address, data=b"overlaps")], entry=address)

    with pytest.raises(BootError, match=rf"{name}.* where kernel segment|where {name} is"):
        load(replace(base, kernel=kernel(tmp_path, data)), bootkit.Memory())


def test_overlapping_segments_are_refused(base: BootConfig, tmp_path: Path) -> None:
    loads = [
        bootkit.Load(paddr=0x10_0000, data=b"a", memsz=8192),
        bootkit.Load(paddr=0x10_1000, data=b"b"),
    ]

    with pytest.raises(BootError, match="where kernel segment 0x100000 is"):
        load(replace(base, kernel=kernel(tmp_path, bootkit.elf(loads))), bootkit.Memory())


def test_segments_in_the_hole_or_across_its_edge_are_refused(
    base: BootConfig, tmp_path: Path
) -> None:
    for address in (layout.HOLE - 4, layout.IOAPIC, 4 * GIB - 4):
        data = bootkit.elf([bootkit.Load(paddr=address, data=b"12345678")])
        with pytest.raises(BootError, match="not RAM"):
            load(replace(base, kernel=kernel(tmp_path, data)), bootkit.Memory(6 * GIB))


# --- Reset --------------------------------------------------------------------------------------


def test_loading_again_repeats_the_first_time(base: BootConfig) -> None:
    with prepare(base) as prepared:
        first, second = bootkit.Memory(), bootkit.Memory()
        result = prepared.load(first)
        Path(base.kernel).unlink()
        Path(base.initrd).unlink()

        again = prepared.load(second)

    assert again.entry == result.entry
    assert again.pieces == result.pieces
    assert second.chunks == first.chunks


def test_loading_into_used_memory_clears_the_bss(base: BootConfig) -> None:
    with prepare(base) as prepared:
        prepared.load(fresh := bootkit.Memory())
        prepared.load(used := bootkit.Memory(), fresh=False)

    assert fresh.zeroed == []
    end = 0x120_0000 + 100_008 + 70_000
    assert (0x120_0000 + 100_008, 70_000) in used.zeroed
    assert max(at + n for at, n in used.zeroed) == end


def test_prepare_leaves_no_file_open_after_a_refusal(base: BootConfig) -> None:
    import os

    before = os.listdir("/proc/self/fd")

    for _ in range(3):
        with pytest.raises(BootError):
            prepare(replace(base, initrd="/nowhere"))

    assert os.listdir("/proc/self/fd") == before


def test_a_read_error_while_loading_becomes_a_sentence(base: BootConfig) -> None:
    def broken(_gpa: int, _fd: int, _offset: int, _length: int) -> None:
        raise OSError(5, "Input/output error")

    memory = bootkit.Memory()
    memory.load_file = broken  # type: ignore[method-assign,assignment]

    with pytest.raises(BootError, match="could not be read: Input/output error"):
        load(base, memory)


def test_a_plan_equals_what_loading_does(base: BootConfig) -> None:
    memory = bootkit.Memory()
    with prepare(base) as images:
        planned = plan(images, memory.size)

        assert images.load(memory) == planned


def test_a_plan_finds_the_same_faults(base: BootConfig) -> None:
    with prepare(base) as images, pytest.raises(BootError, match="not RAM in a VM with 16 MiB"):
        plan(images, 16 * MIB)
