"""The ELF parser: what it reads, and that nothing outside the file or beyond a cap is believed."""

from __future__ import annotations

from pathlib import Path
from struct import pack_into

import pytest

from tests import bootkit
from vmm.boot import elf
from vmm.boot.source import memory_source
from vmm.errors import BootError

PHDR = 64  # of the first program header in a 64-bit file


def parse(data: bytes) -> elf.Elf:
    with memory_source("k", "kernel", [data]) as source:
        return elf.parse(source)


def read_notes(data: bytes) -> list[tuple[bytes, int, bytes]]:
    with memory_source("k", "kernel", [data]) as source:
        return elf.notes(source, elf.parse(source))


def patched(data: bytes, offset: int, form: str, value: int) -> bytes:
    copy = bytearray(data)
    pack_into(form, copy, offset, value)
    return bytes(copy)


@pytest.mark.parametrize("bits", [32, 64])
def test_segments_and_entry_are_read(bits: int) -> None:
    data = bootkit.elf(
        [bootkit.Load(paddr=0x10_0000, data=b"code", memsz=800)], bits=bits, entry=0x10_0002
    )

    parsed = parse(data)

    assert (parsed.bits, parsed.entry) == (bits, 0x10_0002)
    assert [(s.paddr, s.filesz, s.memsz) for s in parsed.loads()] == [(0x10_0000, 4, 800)]
    assert parsed.end() == 0x10_0000 + 800


def test_segments_without_memory_are_not_loaded() -> None:
    data = bootkit.elf([bootkit.Load(paddr=0, data=b""), bootkit.Load(paddr=4096, data=b"x")])

    assert [s.paddr for s in parse(data).loads()] == [4096]


@pytest.mark.parametrize(
    ("offset", "form", "value", "words"),
    [
        (4, "<B", 3, "unknown class"),
        (5, "<B", 9, "byte order"),
        (16, "<H", 1, "not executable"),
        (18, "<H", 183, "built for aarch64"),
        (18, "<H", 0x1234, "built for machine 4660"),
        (32, "<Q", 1 << 40, "truncated"),
        (32, "<Q", (1 << 64) - 8, "truncated"),
        (54, "<H", 8, "program headers of 8 bytes"),
        (56, "<H", 0, "0 program headers"),
        (56, "<H", 129, "more than the 128"),
        (56, "<H", 128, "truncated"),
        (PHDR + 8, "<Q", 1 << 40, "truncated"),
        (PHDR + 8, "<Q", (1 << 64) - 2, "truncated"),
        (PHDR + 24, "<Q", (1 << 64) - 1, "beyond any RAM"),
        (PHDR + 24, "<Q", (1 << 46) - 3, "beyond any RAM"),
        (PHDR + 32, "<Q", 1 << 40, "truncated"),
        (PHDR + 40, "<Q", 2, "4 bytes of file for 2 of memory"),
        (PHDR + 40, "<Q", (1 << 64) - 1, "beyond any RAM"),
        (PHDR, "<I", 7, "nothing to load"),
    ],
)
def test_each_bad_field_is_refused_in_words(offset: int, form: str, value: int, words: str) -> None:
    data = bootkit.elf([bootkit.Load(paddr=0x10_0000, data=b"code")])

    with pytest.raises(BootError, match=words):
        parse(patched(data, offset, form, value))


def test_big_endian_machines_are_named() -> None:
    data = bytearray(bootkit.elf([bootkit.Load(paddr=0x10_0000, data=b"code")]))
    data[5] = 2
    data[16:20] = b"\0\x02\0\x15"

    with pytest.raises(BootError, match="PowerPC64"):
        parse(bytes(data))


@pytest.mark.parametrize("bits", [32, 64])
def test_every_truncation_is_refused(bits: int) -> None:
    data = bootkit.elf([bootkit.Load(paddr=0x10_0000, data=b"code" * 9)], bits=bits)

    for length in range(4, len(data)):
        with pytest.raises(BootError, match=r"truncated|not a valid ELF"):
            parse(data[:length])


def test_pvh_entry_is_found_among_other_notes() -> None:
    notes = bootkit.note(b"GNU", 3, b"12345") + bootkit.pvh_note(0x10_0040)
    found = read_notes(bootkit.elf([bootkit.Load(paddr=0, data=b"x")], notes=notes))

    assert elf.pvh_entry(found) == 0x10_0040
    assert not elf.is_linux(found)


@pytest.mark.parametrize(
    "desc", [b"", b"\1\2\3", b"\0\0\0\0", b"\0" * 8, b"\xff" * 8, b"\0" * 4 + b"\1\0\0\0"]
)
def test_unusable_pvh_notes_give_no_entry(desc: bytes) -> None:
    notes = bootkit.note(b"Xen", bootkit.NOTE_PVH, desc)

    found = read_notes(bootkit.elf([bootkit.Load(paddr=0, data=b"x")], notes=notes))

    assert elf.pvh_entry(found) is None


@pytest.mark.parametrize(
    "notes",
    [
        b"\0" * 11,
        b"\0" * 12 * 3,
        b"\xff" * 12,
        b"\xff\xff\xff\xff" + b"\0" * 8,
        b"\0\0\0\0\xff\xff\xff\x7f" + b"\0" * 4,
        b"\4\0\0\0\xf0\xff\xff\xff\1\0\0\0Xen\0",
    ],
)
def test_malformed_notes_end_the_list_instead_of_looping(notes: bytes) -> None:
    data = bootkit.elf([bootkit.Load(paddr=0, data=b"x")], notes=notes)

    assert all(not name for name, _, _ in read_notes(data))


def test_notes_beyond_the_cap_are_not_read() -> None:
    filler = bootkit.note(b"X", 1, bytes(elf.NOTES_MAX))
    data = bootkit.elf([bootkit.Load(paddr=0, data=b"x")], notes=filler + bootkit.pvh_note(4096))

    assert read_notes(data) == []


def test_a_note_segment_outside_the_file_is_refused() -> None:
    data = bootkit.elf([bootkit.Load(paddr=0, data=b"x")], notes=bootkit.pvh_note(4096))

    with pytest.raises(BootError, match="truncated"):
        parse(patched(data, PHDR + 8, "<Q", 1 << 30))


def test_linux_notes_are_recognised() -> None:
    assert elf.is_linux(read_notes(bootkit.linux_elf()))
    assert elf.is_linux([(b"Linux", 0x101, b"\0" * 4)])


def test_a_file_that_shrinks_is_noticed(tmp_path: Path) -> None:
    from vmm.boot.source import open_source

    path = tmp_path / "kernel"
    path.write_bytes(bytes(100))
    with open_source(str(path), "kernel") as source:
        path.write_bytes(b"")
        with pytest.raises(BootError, match="became shorter"):
            source.read(0, 100)
