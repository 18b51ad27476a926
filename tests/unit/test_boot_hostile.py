"""Damaged boot images: whatever the bytes, the answer is a boot or one BootError sentence.

Each seed mutates a good image in a few places. Memory stays bounded because nothing may be placed
outside the RAM that the fake memory has, and every table has a cap.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import bootkit
from vmm import layout
from vmm.boot import AcpiConfig, BootConfig, load
from vmm.boot.unpack import unpack
from vmm.errors import BootError

SEEDS = 150
CODE = [bootkit.Load(paddr=0x10_0000, data=b"\xf4" * 64, memsz=9000)]
NOTES = bootkit.LINUX_NOTE + bootkit.pvh_note(0x10_0000)
FIELDS = (0x10_0078, 0x10_0000, 0, 0, 0x10_0080)
IMAGES = {
    "bzimage": bootkit.bzimage(),
    "vmlinux": bootkit.linux_elf(),
    "pvh32": bootkit.elf(CODE, bits=32, notes=NOTES),
    "multiboot-elf": bootkit.elf(CODE, bits=32, head=bootkit.multiboot_header(3)),
    "multiboot-fields": bootkit.elf(CODE, head=bootkit.multiboot_header(1 << 16, *FIELDS)),
}
HEADER_END = {"bzimage": 0x290}  # elsewhere the first 300 bytes hold all headers
EVIL = (0, 1, 3, 0x7F, 0x80, 0xFE, 0xFF)


def attempt(folder: Path, data: bytes, protocol: str = "auto") -> str:
    """Boot `data` into 64 MiB; "booted", or the refusal."""
    config = BootConfig(
        kernel=bootkit.write(folder / "kernel", data),
        cmdline="quiet",
        protocol=protocol,
        acpi=AcpiConfig(),
        cache_dir=str(folder / "cache"),
    )
    try:
        result = load(config, memory := bootkit.Memory(64 * layout.MIB))
    except BootError as error:
        return str(error)
    assert sum(len(data) for _, data in memory.chunks) < 64 * layout.MIB
    assert all(p.base + p.length <= 64 * layout.MIB for p in result.pieces)
    return "booted"


def mutated(name: str, seed: int) -> bytes:
    random = Random(f"{name}{seed}")
    data = bytearray(IMAGES[name])
    end = HEADER_END.get(name, 300)
    for _ in range(random.randint(1, 6)):
        at = random.randrange(min(end, len(data)))
        run = random.choice((1, 1, 2, 4, 8))
        data[at : at + run] = bytes(random.choice(EVIL) for _ in range(run))
    return bytes(data)


@pytest.mark.parametrize("name", IMAGES)
def test_the_unharmed_image_boots(name: str, tmp_path: Path) -> None:
    assert attempt(tmp_path, IMAGES[name]) == "booted"


@pytest.mark.parametrize("name", IMAGES)
def test_mutated_headers_boot_or_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    answers = [attempt(tmp_path, mutated(name, seed)) for seed in range(SEEDS)]

    assert all("\n" not in answer for answer in answers)
    assert len(set(answers)) > 5  # the mutations do reach different checks


@pytest.mark.parametrize("name", IMAGES)
def test_images_cut_at_every_header_boundary_are_refused_or_whole(
    name: str, tmp_path: Path
) -> None:
    data = IMAGES[name]
    end = HEADER_END.get(name, len(data))
    lengths = [*range(1, min(end, 700)), *range(700, len(data) - 16, 997)]

    answers = {length: attempt(tmp_path, data[:length]) for length in lengths}

    assert [length for length, answer in answers.items() if answer == "booted"] == []


@pytest.mark.parametrize("protocol", ["linux", "elf64", "pvh", "multiboot", "flat"])
def test_forcing_a_protocol_onto_rubbish_is_refused_or_flat(protocol: str, tmp_path: Path) -> None:
    for seed in range(40):
        rubbish = Random(seed).randbytes(3000)
        answer = attempt(tmp_path, rubbish, protocol)
        assert (answer == "booted") == (protocol == "flat")


@given(st.binary(max_size=2000).filter(lambda data: not data.startswith(b"\x7fELF")))
def test_any_bytes_are_a_payload_or_damaged(data: bytes) -> None:
    for magic in (b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x02\x21\x4c\x18", b""):
        with pytest.raises(BootError):
            unpack(magic + data + b"\x00\x10\x00\x00", "k")


def test_the_right_kernel_for_the_wrong_machine_is_named(tmp_path: Path) -> None:
    data = bytearray(bootkit.elf(CODE))
    data[18] = 183

    assert "aarch64" in attempt(tmp_path, bytes(data))
