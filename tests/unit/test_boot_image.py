"""Telling boot images apart, and refusing what is none, each in one clear sentence."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from random import Random

import pytest

from tests import bootkit
from vmm.boot.image import FLAT_MAX, identify
from vmm.errors import EXIT_IMAGE, BootError

CODE = [bootkit.Load(paddr=0x10_0000, data=b"\xf4" * 64)]
PVH = bootkit.pvh_note(0x10_0000)
MULTIBOOT = bootkit.multiboot_header()
BOOT_SECTOR = bytes(510) + b"\x55\xaa"


@pytest.mark.parametrize(
    ("data", "kind", "protocol"),
    [
        (bootkit.bzimage(), "bzImage", "elf64"),
        (bootkit.elf(CODE), "ELF64", "elf64"),
        (bootkit.elf(CODE, notes=PVH), "ELF64", "pvh"),
        (bootkit.elf(CODE, bits=32, notes=PVH), "ELF32", "pvh"),
        (bootkit.elf(CODE, bits=32, head=MULTIBOOT), "ELF32", "multiboot"),
        (bootkit.elf(CODE, head=MULTIBOOT, notes=PVH), "ELF64", "multiboot"),
        (bootkit.linux_elf(), "ELF64", "elf64"),
        (BOOT_SECTOR, "flat", "flat"),
        (
            bootkit.multiboot_header(1 << 16, 0x10_0000, 0x10_0000, 0, 0, 0x10_0020) + bytes(64),
            "multiboot",
            "multiboot",
        ),
    ],
)
def test_auto_recognises_each_kind(tmp_path: Path, data: bytes, kind: str, protocol: str) -> None:
    path = bootkit.write(tmp_path / "kernel", data)

    image = identify(path)

    assert (image.format, image.protocol) == (kind, protocol)
    image.close()


@pytest.mark.parametrize(
    ("data", "protocol"),
    [
        (bootkit.bzimage(), "linux"),
        (bootkit.bzimage(), "pvh"),
        (bootkit.linux_elf(), "pvh"),
        (bootkit.elf(CODE, notes=PVH), "elf64"),
        (bootkit.elf(CODE, head=MULTIBOOT, notes=PVH), "pvh"),
        (b"\xf4", "flat"),
        (bytes(FLAT_MAX), "flat"),
    ],
)
def test_a_forced_protocol_is_used_where_the_image_can(
    tmp_path: Path, data: bytes, protocol: str
) -> None:
    path = bootkit.write(tmp_path / "kernel", data)

    image = identify(path, protocol)

    assert image.protocol == protocol
    image.close()


@pytest.mark.parametrize(
    ("data", "protocol", "words"),
    [
        (bootkit.elf(CODE), "pvh", "cannot be started as pvh"),
        (bootkit.elf(CODE), "linux", "cannot be started as linux"),
        (bootkit.elf(CODE, bits=32, notes=PVH), "elf64", "cannot be started as elf64"),
        (bootkit.elf(CODE), "multiboot", "cannot be started as multiboot"),
        (bootkit.bzimage(), "multiboot", "no multiboot header"),
        (BOOT_SECTOR, "pvh", "neither bzImage nor ELF"),
        (bytes(FLAT_MAX + 1), "flat", f"{FLAT_MAX} at most"),
        (bootkit.bzimage(), "grub", "boot protocol grub is unknown"),
    ],
)
def test_a_forced_protocol_the_image_lacks_is_refused(
    tmp_path: Path, data: bytes, protocol: str, words: str
) -> None:
    path = bootkit.write(tmp_path / "kernel", data)

    with pytest.raises(BootError, match=words):
        identify(path, protocol)


def test_kaslr_chooses_the_kernels_own_decompressor(tmp_path: Path) -> None:
    image = identify(bootkit.write(tmp_path / "kernel", bootkit.bzimage()), kaslr=True)

    assert image.protocol == "linux"
    image.close()


@pytest.mark.parametrize(
    ("data", "protocol"),
    [(bootkit.linux_elf(), "auto"), (bootkit.bzimage(), "pvh"), (BOOT_SECTOR, "auto")],
)
def test_kaslr_without_a_decompressor_is_refused(
    tmp_path: Path, data: bytes, protocol: str
) -> None:
    with pytest.raises(BootError, match="cannot be randomised"):
        identify(bootkit.write(tmp_path / "kernel", data), protocol, kaslr=True)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (bytes(0x38) + b"ARM\x64" + bytes(64), "aarch64 Linux image"),
        (bytes(0x38) + b"RSC\x05" + bytes(64), "RISC-V Linux image"),
        (bytes(0x24) + b"\x18\x28\x6f\x01" + bytes(64), "32-bit ARM zImage"),
        (b"MZ\0\0zimg" + bytes(64), "compressed EFI image"),
        (b"MZ" + bytes(64), "EFI or DOS program"),
        (b"070701" + bytes(64), "cpio archive"),
        (b"QFI\xfb" + bytes(64), "qcow2 disk"),
        (b"#!/bin/sh\n", "a script"),
        (bootkit.gzip_payload(b"kernel"), "gzip data, not a kernel"),
        (b"\xfd7zXZ\0" + bytes(64), "xz data"),
        (b"\x28\xb5\x2f\xfd" + bytes(64), "zstd data"),
        (Random(1).randbytes(4096), "known boot formats"),
        (b"x", "known boot formats"),
        (bytes(10_000), "known boot formats"),
        (bootkit.elf(CODE, bits=32), "neither a multiboot header nor a PVH note"),
    ],
)
def test_what_is_no_kernel_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    path = bootkit.write(tmp_path / "kernel", data)

    with pytest.raises(BootError, match=words) as caught:
        identify(path)

    assert path in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == EXIT_IMAGE


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(BootError, match=r"kernel .*nowhere does not exist"):
        identify(str(tmp_path / "nowhere"))


def test_a_file_in_a_file_cannot_be_opened(tmp_path: Path) -> None:
    path = bootkit.write(tmp_path / "kernel", b"x")

    with pytest.raises(BootError, match="cannot be opened: Not a directory"):
        identify(path + "/kernel")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BootError, match="is a directory"):
        identify(str(tmp_path))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BootError, match="is empty"):
        identify(bootkit.write(tmp_path / "kernel", b""))


def test_a_fifo_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    with pytest.raises(BootError, match="not a regular file"):
        identify(str(tmp_path / "fifo"))


def test_a_device_is_refused() -> None:
    with pytest.raises(BootError, match="not a regular file"):
        identify("/dev/zero")


def test_a_socket_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(BootError, match="cannot be opened"):
            identify(str(tmp_path / "socket"))


def test_a_path_with_a_nul_is_refused() -> None:
    with pytest.raises(BootError, match="embedded null byte"):
        identify("ker\0nel")


def test_an_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_args: object) -> int:
        raise PermissionError(13, "Permission denied")

    path = bootkit.write(tmp_path / "kernel", bootkit.bzimage())
    monkeypatch.setattr(os, "open", denied)  # root may read anything, so chmod proves nothing

    with pytest.raises(BootError, match="may not be read by this user"):
        identify(path)


def test_refused_images_leave_no_file_open(tmp_path: Path) -> None:
    path = bootkit.write(tmp_path / "kernel", b"garbage")
    before = os.listdir("/proc/self/fd")

    for _ in range(3):
        with pytest.raises(BootError):
            identify(path)

    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize(
    ("flags", "words"),
    [(4, "demands a video mode"), (8, "unknown features 0x8"), (0x8001, "unknown features 0x8000")],
)
def test_multiboot_demands_that_cannot_be_met_are_refused(
    tmp_path: Path, flags: int, words: str
) -> None:
    data = bootkit.elf(CODE, bits=32, head=bootkit.multiboot_header(flags))

    with pytest.raises(BootError, match=words):
        identify(bootkit.write(tmp_path / "kernel", data))


@pytest.mark.parametrize(
    ("addresses", "words"),
    [
        ((0x0F_FFFF, 0x10_0000, 0, 0, 0x10_0000), "lies before the file"),
        ((0x10_0010, 0x10_0000, 0, 0, 0x10_0000), "lies before the file"),
        ((0x10_0000, 0x10_0000, 0x0F_0000, 0, 0x10_0000), "truncated"),
        ((0x10_0000, 0x10_0000, 0x20_0000, 0, 0x10_0000), "truncated"),
        ((0x10_0000, 0x10_0000, 0x10_0020, 0x10_0010, 0x10_0000), "bss ends inside"),
        ((0x10_0000, 0x10_0000, 0, 0, 0x20_0000), "entry 0x200000 outside"),
        ((0x10_0000, 0x10_0000, 0, 0, 0), "entry 0x0 outside"),
    ],
)
def test_multiboot_address_fields_are_checked(
    tmp_path: Path, addresses: tuple[int, ...], words: str
) -> None:
    data = bootkit.multiboot_header(1 << 16, *addresses) + bytes(64)

    with pytest.raises(BootError, match=words):
        identify(bootkit.write(tmp_path / "kernel", data))


def test_a_multiboot_header_cut_off_by_the_search_limit_is_refused(tmp_path: Path) -> None:
    data = bytes(8192 - 16) + bootkit.multiboot_header(1 << 16, 0, 0, 0, 0, 0)

    with pytest.raises(BootError, match="cut off"):
        identify(bootkit.write(tmp_path / "kernel", data))


@pytest.mark.parametrize("offset", [8192, 8190, 2])
def test_multiboot_headers_beyond_the_limit_or_unaligned_do_not_count(
    tmp_path: Path, offset: int
) -> None:
    addresses = (0x10_0000 + offset, 0x10_0000, 0, 0, 0x10_0000)
    data = bytes(offset) + bootkit.multiboot_header(1 << 16, *addresses) + bytes(64)

    with pytest.raises(BootError, match="known boot formats"):
        identify(bootkit.write(tmp_path / "kernel", data))


def test_a_multiboot_header_without_any_addresses_is_refused(tmp_path: Path) -> None:
    data = bytes(64) + bootkit.multiboot_header() + bytes(64)

    with pytest.raises(BootError, match="gives no load addresses"):
        identify(bootkit.write(tmp_path / "kernel", data))
