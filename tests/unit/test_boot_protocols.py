"""What PVH, multiboot and flat images leave in guest memory, and where the boot vCPU starts."""

from __future__ import annotations

from pathlib import Path
from struct import unpack

import pytest

from tests import bootkit
from tests.bootkit import kernel, piece, u32, u64
from vmm import layout
from vmm.boot import BootConfig, load, prepare
from vmm.boot.e820 import RAM
from vmm.boot.plan import plan
from vmm.errors import BootError
from vmm.layout import GIB, MIB
from vmm.record import replace

MULTIBOOT = bootkit.multiboot_header(3)


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
    assert (u32(memory, first), u32(memory, first + 4)) == (
        after_image,
        after_image + 5000,
    )
    assert memory.string(u32(memory, first + 24)) == f"{extra} arg"
    assert memory.read(u32(memory, first + 16), 6) == b"module"


def test_multiboot_memory_maps_have_entries_of_24_bytes(base: BootConfig, tmp_path: Path) -> None:
    code = bootkit.Load(paddr=0x10_0000, data=b"code")
    path = kernel(tmp_path, bootkit.elf([code], bits=32, head=MULTIBOOT))
    memory = bootkit.Memory(6 * GIB)

    load(replace(base, kernel=path), memory)

    length, at = (
        u32(memory, layout.MULTIBOOT_INFO + 44),
        u32(memory, layout.MULTIBOOT_INFO + 48),
    )
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
