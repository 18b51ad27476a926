"""Kernels, initrds, modules and command lines that cannot be booted, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import bootkit
from tests.bootkit import kernel
from vmm import layout
from vmm.boot import BootConfig, load, prepare
from vmm.errors import BootError
from vmm.layout import GIB, MIB
from vmm.record import replace

MULTIBOOT = bootkit.multiboot_header(3)


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
        load(
            replace(base, kernel=kernel(tmp_path, bootkit.elf(loads))),
            bootkit.Memory(),
        )


def test_segments_in_the_hole_or_across_its_edge_are_refused(
    base: BootConfig, tmp_path: Path
) -> None:
    for address in (layout.HOLE - 4, layout.IOAPIC, 4 * GIB - 4):
        data = bootkit.elf([bootkit.Load(paddr=address, data=b"12345678")])
        with pytest.raises(BootError, match="not RAM"):
            load(
                replace(base, kernel=kernel(tmp_path, data)),
                bootkit.Memory(6 * GIB),
            )
