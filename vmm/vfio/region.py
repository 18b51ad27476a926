"""Regions of a device: registers, ROM and configuration space, read and written or mapped."""

from __future__ import annotations

from vmm.native import ffi, lib
from vmm.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mmap import mmap
    from typing import Any

    from vmm.vfio.asking import Reply, VfioFd

WIDTHS = (1, 2, 4, 8)
FIXED = {
    **{index: f"bar{index}" for index in range(6)},
    lib.VFIO_PCI_ROM_REGION_INDEX: "rom",
    lib.VFIO_PCI_CONFIG_REGION_INDEX: "config",
    lib.VFIO_PCI_VGA_REGION_INDEX: "vga",
}


class RegionInfo(Record):
    """What the kernel tells of a region. `areas` are (offset, size) of what can be mapped."""

    index: int
    name: str
    size: int
    offset: int  # in the device's descriptor
    readable: bool
    writable: bool
    areas: tuple[tuple[int, int], ...]
    msix_mappable: bool = False  # the part with the MSI-X table may be mapped too
    type: tuple[int, int] | None = None  # of a device-specific region: type and subtype


def region_info(reply: Reply) -> RegionInfo | None:
    """The region a reply tells of; None where the device has none of that number."""
    info = reply.struct
    if not info.size:
        return None
    found = reply.capabilities(lib.VFIO_REGION_INFO_FLAG_CAPS)
    areas: tuple[tuple[int, int], ...] = ()
    if info.flags & lib.VFIO_REGION_INFO_FLAG_MMAP:
        areas = ((0, int(info.size)),)
        offset = found.get(lib.VFIO_REGION_INFO_CAP_SPARSE_MMAP)
        if offset is not None:
            sparse = "struct vfio_region_info_cap_sparse_mmap"
            pairs = reply.pairs(offset, sparse, "nr_areas", "areas")
            areas = tuple((pair.offset, pair.size) for pair in pairs if pair.size)
    kind_at = found.get(lib.VFIO_REGION_INFO_CAP_TYPE)
    kind = reply.at(kind_at, "struct vfio_region_info_cap_type") if kind_at is not None else None
    return RegionInfo(
        index=int(info.index),
        name=FIXED.get(info.index, f"region{info.index}"),
        size=int(info.size),
        offset=int(info.offset),
        readable=bool(info.flags & lib.VFIO_REGION_INFO_FLAG_READ),
        writable=bool(info.flags & lib.VFIO_REGION_INFO_FLAG_WRITE),
        areas=areas,
        msix_mappable=lib.VFIO_REGION_INFO_CAP_MSIX_MAPPABLE in found,
        type=(int(kind.type), int(kind.subtype)) if kind else None,
    )


class Region:
    """One region. Offsets and sizes in bytes; ValueError for those outside it.

    Reads and writes go through the kernel and work everywhere; map() gives direct access.
    """

    def __init__(self, fd: VfioFd, info: RegionInfo) -> None:
        self._fd = fd
        self.info = info
        self.name, self.size = info.name, info.size
        self._mappings: list[Mapping] = []

    def read(self, offset: int, size: int) -> int:
        """A little-endian register of 1, 2, 4 or 8 bytes."""
        return int.from_bytes(self.read_bytes(offset, _width(size)), "little")

    def write(self, offset: int, size: int, value: int) -> None:
        self.write_bytes(offset, _fitting(value, size).to_bytes(size, "little"))

    def read_bytes(self, offset: int, size: int) -> bytes:
        """OSError where the device, or its driver, does not let these bytes be read."""
        import os

        self._inside(offset, size)
        data = os.pread(self._fd.number, size, self.info.offset + offset)
        if len(data) != size:
            raise OSError(5, f"{self.name} gave {len(data)} of {size} bytes at {offset:#x}")
        return data

    def write_bytes(self, offset: int, data: bytes) -> None:
        import os

        self._inside(offset, len(data))
        written = os.pwrite(self._fd.number, data, self.info.offset + offset)
        if written != len(data):
            raise OSError(5, f"{self.name} took {written} of {len(data)} bytes at {offset:#x}")

    def map(self, area: int = 0) -> Mapping:
        """The region's area of that number in memory, until it or the device is closed."""
        if area >= len(self.info.areas):
            raise ValueError(f"{self.name} has {len(self.info.areas)} areas that can be mapped")
        mapping = Mapping(self._fd, self.info, *self.info.areas[area])
        self._mappings.append(mapping)
        return mapping

    def close(self) -> None:
        for mapping in self._mappings:
            mapping.close()
        self._mappings.clear()

    def _inside(self, offset: int, size: int) -> None:
        if offset < 0 or size < 0 or offset + size > self.size:
            raise ValueError(f"{self.name} has {self.size:#x} bytes: {offset:#x}+{size:#x} is out")


class Mapping:
    """A part of a region as memory. An access is one instruction of that width on the bus."""

    def __init__(self, fd: VfioFd, info: RegionInfo, offset: int, size: int) -> None:
        from mmap import MAP_SHARED, PROT_READ, PROT_WRITE, mmap

        access = (PROT_READ if info.readable else 0) | (PROT_WRITE if info.writable else 0)
        self.name, self.offset, self.size = info.name, offset, size
        place = info.offset + offset
        self._map: mmap | None = mmap(fd.number, size, MAP_SHARED, access, offset=place)
        self._bytes: Any = ffi.from_buffer(self._map)

    @property
    def address(self) -> int:
        """Where in this process it begins, until it is closed."""
        return int(ffi.cast("uintptr_t", self._bytes))

    def read(self, offset: int, size: int) -> int:
        """The register at `offset` in the region, which is aligned to `size`."""
        return int(lib.mmio_read(self._at(offset, size), size))

    def write(self, offset: int, size: int, value: int) -> None:
        lib.mmio_write(self._at(offset, size), size, _fitting(value, size))

    def _at(self, offset: int, size: int) -> Any:
        at = offset - self.offset
        if self._map is None:
            raise ValueError(f"{self.name} is not mapped any more")
        if at < 0 or at + _width(size) > self.size or at % size:
            raise ValueError(f"{self.name}: {offset:#x}+{size} is not in the part that is mapped")
        return self._bytes + at

    def close(self) -> None:
        mapped, self._map = self._map, None
        if mapped is not None:
            ffi.release(self._bytes)
            mapped.close()


def _fitting(value: int, size: int) -> int:
    if value < 0 or value >> 8 * _width(size):
        raise ValueError(f"{value:#x} does not fit a register of {size} bytes")
    return value


def _width(size: int) -> int:
    if size not in WIDTHS:
        raise ValueError(f"a register has 1, 2, 4 or 8 bytes, not {size}")
    return size
