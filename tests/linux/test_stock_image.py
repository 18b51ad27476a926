"""Debian's own kernel through the boot code, without running it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import bootkit
from vmm.boot import AcpiConfig, BootConfig, elf, load
from vmm.boot.image import Image, identify
from vmm.boot.source import Source, open_source
from vmm.lab.kernel import Kernel, kernel


@pytest.fixture(scope="module")
def stock() -> Kernel:
    return kernel()


@pytest.fixture
def unpacked(stock: Kernel, tmp_path: Path) -> Iterator[Image]:
    image = identify(str(stock.image))
    image.unpack(str(tmp_path / "cache"))
    yield image
    image.close()


def memory_of(source: Source) -> tuple[int, bytes]:
    """(lowest address, contents) of all segments once loaded."""
    parsed = elf.parse(source)
    start = min(s.paddr for s in parsed.loads())
    memory = bytearray(parsed.end() - start)
    for s in parsed.loads():
        memory[s.paddr - start : s.paddr - start + s.filesz] = source.read(s.offset, s.filesz)
    return start, bytes(memory)


def test_the_unpacked_kernel_equals_what_the_zstd_tool_gives(
    stock: Kernel, unpacked: Image
) -> None:
    with open_source(str(stock.vmlinux), "kernel") as reference:
        ours, theirs = memory_of(unpacked.source), memory_of(reference)
        assert ours[0] == theirs[0]
        assert ours[1] == theirs[1], "segment contents differ"  # 50 MB: no diff, please
        expected = elf.parse(reference)
        assert unpacked.elf.entry == expected.entry
        assert unpacked.elf.end() == expected.end()
        assert elf.notes(unpacked.source, unpacked.elf) == elf.notes(reference, expected)
    assert unpacked.source.size < stock.vmlinux.stat().st_size * 3 // 4


def test_its_header_agrees_with_its_elf(unpacked: Image) -> None:
    header = unpacked.header

    assert header.cmdline_size == 2047
    assert min(s.paddr for s in unpacked.elf.loads()) == header.pref_address
    assert header.pref_address <= unpacked.elf.entry < header.pref_address + header.init_size
    assert unpacked.pvh_entry > header.pref_address


@pytest.mark.parametrize("mib", [128, 256, 6144])
@pytest.mark.parametrize("protocol", ["elf64", "linux", "pvh"])
def test_it_fits_into_small_and_large_machines(
    stock: Kernel, tmp_path: Path, protocol: str, mib: int
) -> None:
    config = BootConfig(
        kernel=str(stock.image),
        initrd=bootkit.write(tmp_path / "initrd", bytes(1 << 20)),
        cmdline="console=ttyS0 quiet",
        protocol=protocol,
        acpi=AcpiConfig(),
        cache_dir=str(tmp_path.parent / "cache"),
    )

    result = load(config, bootkit.Memory(mib << 20))

    assert result.protocol == protocol
    assert any(piece.name == "initrd" for piece in result.pieces)
