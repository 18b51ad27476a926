"""core/memory/gmem.c against its twin, and the memory facade's bounds."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.native.twins.gmem import GmemTwin
from vmm import layout
from vmm.errors import HostError
from vmm.memory import GuestMemory
from vmm.native import ffi, lib

EDGES = (0, 1, 0xFFF, 0x1000, 0x1FFF, 0x2000, 0x5000, 0xFFFF_FFFF_FFFF_F000, (1 << 64) - 1)
SIZES = (0, 1, 0x800, 0x1000, 0x3000, 0xFFFF_FFFF_FFFF_FFFF)


def pieces_of(gmem: Any, dev: Any, gpa: int, length: int, way: int, most: int) -> object:
    ret = ffi.new("struct gmem_piece[]", 8)
    count = lib.gmem_at(gmem, dev, gpa, length, way, ret, most)
    if count < 0:
        return count
    return [(int(ffi.cast("uintptr_t", p.hva)), p.len) for p in ret[0:count]]


@pytest.mark.parametrize("seed", range(20))
def test_translation_agrees_with_the_twin_on_random_maps(seed: int) -> None:
    rng = random.Random(seed)
    gmem, dev, twin = lib.gmem_create(), ffi.new("struct gmem_dev *"), GmemTwin()

    for _step in range(400):
        gpa = rng.choice(EDGES) if rng.random() < 0.5 else rng.randrange(0x8000)
        size = rng.choice(SIZES) if rng.random() < 0.5 else rng.randrange(0x2000)
        action = rng.random()
        if action < 0.2:
            hva, flags = 0x10_0000_0000 + gpa, rng.choice((0, 0, 1))
            mine = lib.gmem_add(gmem, gpa, size, ffi.cast("void *", hva), flags)
            assert mine == twin.add(gpa, size, hva, flags)
        elif action < 0.3 and twin.regions:
            base, length, _hva, _flags = rng.choice(twin.regions)
            assert lib.gmem_remove(gmem, base, length) == twin.remove(base, length)
        else:
            way, most = rng.choice((1, 2)), rng.randrange(1, 5)
            assert pieces_of(gmem, dev, gpa, size, way, most) == twin.at(gpa, size, way, most)

    lib.gmem_destroy(gmem)


def test_generation_grows_with_every_change() -> None:
    gmem = lib.gmem_create()
    before = lib.gmem_generation(gmem)

    lib.gmem_add(gmem, 0, 4096, ffi.cast("void *", 0x1000), 0)
    lib.gmem_remove(gmem, 0, 4096)

    assert lib.gmem_generation(gmem) == before + 2
    lib.gmem_destroy(gmem)


def test_memory_has_a_hole_below_4_gib_and_goes_on_above() -> None:
    memory = GuestMemory(6 * layout.GIB)

    assert memory.ranges() == [(0, layout.HOLE), (layout.ABOVE_4G, 3 * layout.GIB)]
    memory.write(layout.ABOVE_4G + 5, b"high")
    assert memory.read(layout.ABOVE_4G + 5, 4) == b"high"
    with pytest.raises(ValueError, match="Bad address"):
        memory.read(layout.HOLE - 2, 4)
    memory.close()


def test_memfd_cannot_be_resized() -> None:
    import os

    memory = GuestMemory(1 << 20)

    with pytest.raises(PermissionError):
        os.ftruncate(memory.regions[0].fd, 4096)
    memory.close()


def test_a_range_over_adjoining_regions_comes_in_pieces() -> None:
    memory = GuestMemory(1 << 20)
    memory.add_ram(1 << 20, 4096)

    memory.write((1 << 20) - 2, b"abcd")

    assert [bytes(view) for view in memory.view((1 << 20) - 2, 4)] == [b"ab", b"cd"]
    memory.close()


def test_accessors_count_apart_and_denials_too() -> None:
    memory = GuestMemory(1 << 20)
    disk = memory.accessor("disk")

    disk.read(0, 16)
    disk.write(16, b"x")
    with pytest.raises(ValueError, match="disk: read of 2 bytes at 0xfffff"):
        disk.read((1 << 20) - 1, 2)

    assert disk.counts() == {"reads": 1, "writes": 1, "denied": 1}
    assert memory.counts() == {"reads": 0, "writes": 0, "denied": 0}
    memory.close()


def test_a_window_refuses_what_it_must() -> None:
    memory = GuestMemory(1 << 20)
    disk = memory.accessor("disk")

    @ffi.callback("int(void *, uint64_t, uint64_t, enum gmem_dir)")
    def window(_opaque: object, gpa: int, length: int, _way: int) -> int:
        return 0 if gpa + length <= 0x1000 else -errno.EPERM

    disk.dev.window = window

    disk.write(0xFF0, b"y" * 16)
    with pytest.raises(ValueError, match="Operation not permitted"):
        disk.write(0xFF0, b"y" * 17)
    memory.close()


def test_load_file_refuses_a_file_that_ends_early(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"12345")
    memory = GuestMemory(1 << 20)

    with open(path, "rb") as file:
        memory.load_file(0x1000, file.fileno(), 1, 4)
        with pytest.raises(OSError, match="Input/output error"):
            memory.load_file(0x1000, file.fileno(), 0, 6)

    assert memory.read(0x1000, 4) == b"1234"
    memory.close()


def test_hugetlb_without_reserved_pages_says_how_to_reserve_them() -> None:
    with pytest.raises(HostError, match=r"vm.nr_hugepages=512"):
        GuestMemory(layout.GIB, "hugetlb").write(0, b"x")


READ_ONLY = """
import mmap, os
from vmm.hugepages import HUGE_PAGE
from vmm.native import ffi, lib

fd = os.memfd_create("ram")
os.ftruncate(fd, 2 * HUGE_PAGE)
memory = mmap.mmap(fd, 2 * HUGE_PAGE, mmap.MAP_SHARED, mmap.PROT_READ)
at = int(ffi.cast("uintptr_t", ffi.from_buffer(memory)))
lib.ram_collapse(ffi.cast("void *", at), 0, 2 * HUGE_PAGE)
"""


def test_collapsing_does_not_write_what_a_guest_may_be_writing() -> None:
    """It would take back what the guest stored since: a page that may not be written tells."""
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_collapsing_fills_what_is_empty() -> None:
    memory = GuestMemory(4 * layout.MIB)
    (region,) = memory.regions

    done = region.collapse(0, 4 * layout.MIB)

    assert done in (4 * layout.MIB, -errno.EINVAL)  # Linux before 6.1 knows no such advice
    pages = 1024 if done > 0 else 2
    assert os.fstat(region.fd).st_blocks * 512 == pages * 4096
    memory.close()


def test_memory_that_was_watched_closes_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmm.memory.policy", lambda: "never")
    memory = GuestMemory(4 * layout.MIB)
    memory.watch()
    memory.close()
    memory.close()
