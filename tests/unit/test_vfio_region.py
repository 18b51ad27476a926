"""Regions of a device, with a file in its place: bounds, areas, capabilities of odd replies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vmm.native import ffi, lib
from vmm.vfio.asking import Reply, VfioFd
from vmm.vfio.region import Mapping, Region, RegionInfo, region_info

KIND = "struct vfio_region_info"
HEAD, SPARSE_HEAD, AREA, TYPE = (
    ffi.sizeof(f"struct {name}")
    for name in ("vfio_region_info", "vfio_region_info_cap_sparse_mmap",
                 "vfio_region_sparse_mmap_area", "vfio_region_info_cap_type")
)  # fmt: skip


class Answering(VfioFd):
    """A device that answers with these bytes, cut to what was asked for."""

    def __init__(self, body: bytes) -> None:
        super().__init__(-1)
        self.body = body
        self.asked: list[int] = []

    def ioctl(self, name: str, argument: object = None, about: str = "") -> int:
        size = ffi.cast("uint32_t *", argument)[0]
        self.asked.append(size)
        ffi.memmove(argument, self.body[:size], min(size, len(self.body)))
        ffi.cast("uint32_t *", argument)[0] = len(self.body)
        return 0


def region(flags: str, *capabilities: bytes, size: int = 0x4000, index: int = 0) -> Answering:
    """A region with these flags and, from the end of the structure on, these bytes."""
    info = ffi.new(f"{KIND} *")
    info.index, info.size = index, size
    for flag in flags.split():
        info.flags |= getattr(lib, f"VFIO_REGION_INFO_FLAG_{flag}")
    if capabilities:
        info.flags |= lib.VFIO_REGION_INFO_FLAG_CAPS
        info.cap_offset = HEAD
    return Answering(bytes(ffi.buffer(info)) + b"".join(capabilities))


def header(number: int, following: int) -> bytes:
    return number.to_bytes(2, "little") + b"\1\0" + following.to_bytes(4, "little")


def sparse(*areas: tuple[int, int], following: int = 0, count: int | None = None) -> bytes:
    number = len(areas) if count is None else count
    head = header(lib.VFIO_REGION_INFO_CAP_SPARSE_MMAP, following) + number.to_bytes(4, "little")
    words = b"".join(n.to_bytes(8, "little") for area in areas for n in area)
    return head.ljust(SPARSE_HEAD, b"\0") + words


def told(device: Answering) -> RegionInfo | None:
    return region_info(Reply(device, "VFIO_DEVICE_GET_REGION_INFO", KIND, ""))


def test_a_region_that_is_not_there() -> None:
    assert told(region("READ", size=0)) is None


def test_one_without_capabilities_is_mapped_whole() -> None:
    device = region("READ WRITE MMAP")
    info = told(device)

    assert info is not None
    assert (info.name, info.areas, info.readable, info.writable) == (
        "bar0", ((0, 0x4000),), True, True
    )  # fmt: skip
    assert device.asked == [HEAD]


def test_a_structure_outlives_its_reply() -> None:
    structs = [Reply(region("READ", size=n + 1), "X", KIND, "").struct for n in range(64)]

    assert [struct.size for struct in structs] == list(range(1, 65))


def test_a_longer_reply_is_asked_for_with_exactly_its_size() -> None:
    msix = header(lib.VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 0)
    device = region("READ MMAP", msix)
    info = told(device)

    assert info is not None
    assert info.msix_mappable
    assert device.asked == [HEAD, HEAD + len(msix)]


def test_capabilities_in_a_chain_known_and_not() -> None:
    unknown = header(0x7777, HEAD + 8)
    first = sparse(
        (0, 0x1000), (0x2000, 0x1000), (0x3000, 0), following=HEAD + 8 + SPARSE_HEAD + 3 * AREA
    )
    kind = header(lib.VFIO_REGION_INFO_CAP_TYPE, 0) + b"\x86\x80\0\x80\x02\0\0\0"
    info = told(region("MMAP", unknown, first, kind, index=9))

    assert info is not None
    assert (info.name, info.areas) == ("region9", ((0, 0x1000), (0x2000, 0x1000)))
    assert info.type == (0x80008086, 2)


@pytest.mark.parametrize(
    "chain",
    [
        header(0x7777, HEAD),  # leads back to itself
        header(0x7777, 0xFFFFFFFF),
        header(0x7777, HEAD + 4),  # leads into its own middle, and out of the reply
        header(lib.VFIO_REGION_INFO_CAP_TYPE, 0),  # cut off
        sparse((0, 0x1000), count=0xFFFFFFFF),
        header(lib.VFIO_REGION_INFO_CAP_SPARSE_MMAP, 0),
    ],
)
def test_a_reply_that_makes_no_sense_leads_nowhere(chain: bytes) -> None:
    info = told(region("READ MMAP", chain))

    assert info is not None
    assert info.type is None
    assert info.areas in ((), ((0, 0x4000),))


@pytest.fixture
def file(tmp_path: Path) -> VfioFd:
    path = tmp_path / "device"
    path.write_bytes(bytes(0x1000) + bytes(range(256)) * 32)
    return VfioFd(os.open(path, os.O_RDWR | os.O_CLOEXEC))


@pytest.fixture
def info() -> RegionInfo:
    return RegionInfo(
        index=2, name="bar2", size=0x2000, offset=0x1000, readable=True, writable=True,
        areas=((0x1000, 0x1000),),
    )  # fmt: skip


def test_registers_through_the_kernel_and_mapped_are_the_same(
    file: VfioFd, info: RegionInfo
) -> None:
    bar = Region(file, info)
    mapped = bar.map()
    for size in (1, 2, 4, 8):
        value = int.from_bytes(bytes(range(8, 8 + size)), "little")
        assert bar.read(8, size) == mapped.read(0x1008, size) == value
        mapped.write(0x1100, size, value + 1)
        assert bar.read(0x1100, size) == value + 1
        bar.write(0x1200, size, value + 2)
        assert mapped.read(0x1200, size) == value + 2
    bar.close()
    with pytest.raises(ValueError, match="not mapped any more"):
        mapped.read(0x1000, 4)
    file.close()


@pytest.mark.parametrize("offset", [0, 0xFFC, 0x2000, 0x1002, -4])
def test_a_mapping_is_its_area_only_and_aligned(
    file: VfioFd, info: RegionInfo, offset: int
) -> None:
    mapped = Mapping(file, info, *info.areas[0])
    with pytest.raises(ValueError, match="not in the part that is mapped"):
        mapped.read(offset, 4)
    mapped.close()
    mapped.close()
    file.close()


@pytest.mark.parametrize(("offset", "size"), [(0x2000, 1), (-1, 1), (0x1FFF, 2), (0, 0x2001)])
def test_bytes_outside_a_region_are_refused(
    file: VfioFd, info: RegionInfo, offset: int, size: int
) -> None:
    bar = Region(file, info)
    with pytest.raises(ValueError, match="is out"):
        bar.read_bytes(offset, size)
    with pytest.raises(ValueError, match="is out"):
        bar.write_bytes(offset, bytes(size))
    file.close()


@pytest.mark.parametrize(("size", "value"), [(1, 256), (4, 1 << 32), (8, 1 << 64), (4, -1)])
def test_values_that_do_not_fit_are_refused_everywhere(
    file: VfioFd, info: RegionInfo, size: int, value: int
) -> None:
    bar = Region(file, info)
    for write in (bar.write, bar.map().write):
        with pytest.raises(ValueError, match="does not fit a register"):
            write(0x1000, size, value)
    assert bar.read(0x1000, 8) == 0x0706050403020100
    bar.close()
    file.close()
