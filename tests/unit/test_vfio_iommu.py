"""Where memory for DMA goes, what is refused, and the requests of both kernel interfaces."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from vmm.errors import HostError, VfioError
from vmm.native import ffi, lib
from vmm.vfio import iommu as module
from vmm.vfio.asking import VfioFd
from vmm.vfio.device import DmaMemory
from vmm.vfio.devicefd import DeviceFd
from vmm.vfio.iommu import Iommu
from vmm.vfio.iommufd import Ioas, Iommufd

RANGES = ((0, 0xFEDFFFFF), (0xFEF00000, (1 << 40) - 1))


class Model(Iommu):
    """Holes as an Intel IOMMU has them. `errno` is what the next mapping fails with."""

    errno = 0

    def ranges(self) -> tuple[tuple[int, int], ...]:
        return RANGES

    def page_size(self) -> int:
        return 4096

    def _map(self, iova: int, address: int, size: int, writable: bool) -> None:
        if self.errno:
            raise VfioError("VFIO_IOMMU_MAP_DMA", self.errno)

    def _unmap(self, iova: int, size: int) -> None:
        pass


def test_places_are_the_lowest_free_ones_but_never_zero() -> None:
    one = Model()
    for size, place in ((0x1000, 0x1000), (0x3000, 0x2000), (0xFEE00000, 0xFEF00000)):
        assert one.free_place(size, 1 << 64) == place
        one.map(place, 0x7000, size)
    one.unmap(0x2000)
    assert one.free_place(0x2000, 1 << 64) == 0x2000
    with pytest.raises(HostError, match="No 0x4000 bytes are left for DMA below 0x5000"):
        one.free_place(0x4000, 0x5000)


@pytest.mark.parametrize(
    ("iova", "size", "words"),
    [
        (0xFEE00000, 0x1000, "devices here reach 0x0 to 0xfedfffff, 0xfef00000 to"),
        (0xFEDFF000, 0x2000, "the rest is reserved"),
        (1 << 40, 0x1000, "the rest is reserved"),
        (0x800, 0x1000, "multiples of 0x1000"),
        (0x1000, 0, "multiples"),
        (-0x1000, 0x1000, "reserved"),
    ],
)
def test_what_devices_cannot_reach_is_refused(iova: int, size: int, words: str) -> None:
    with pytest.raises(HostError, match=words):
        Model().map(iova, 0x7000, size)


@pytest.mark.parametrize(
    ("errno", "limit", "words"),
    [
        (12, 1 << 20, "1,048,576 bytes may be locked; sudo prlimit"),
        (12, None, "dma_entry_limit"),
        (14, None, "no such memory"),
        (17, None, "mapped already"),
    ],
)
def test_what_the_kernel_refuses_is_explained(
    monkeypatch: pytest.MonkeyPatch, errno: int, limit: int | None, words: str
) -> None:
    monkeypatch.setattr(module, "locked_memory_limit", lambda: limit)
    one = Model()
    one.errno = errno
    with pytest.raises(HostError, match=words):
        one.map(0x1000, 0x7000, 0x1000)
    assert one.mapped == {}
    one.errno = 5
    with pytest.raises(VfioError, match="VFIO_IOMMU_MAP_DMA failed"):
        one.map(0x1000, 0x7000, 0x1000)


class Recording(VfioFd):
    """Keeps what was asked of it; answers with address space 3 and device 5."""

    def __init__(self) -> None:
        super().__init__(os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC))
        self.calls: list[tuple[str, bytes]] = []

    def ioctl(self, name: str, argument: object = None, about: str = "") -> int:
        kinds = {
            "IOMMU_IOAS_ALLOC": "iommu_ioas_alloc", "IOMMU_IOAS_MAP": "iommu_ioas_map",
            "IOMMU_IOAS_UNMAP": "iommu_ioas_unmap",
            "VFIO_DEVICE_BIND_IOMMUFD": "vfio_device_bind_iommufd",
            "VFIO_DEVICE_ATTACH_IOMMUFD_PT": "vfio_device_attach_iommufd_pt",
        }  # fmt: skip
        typed = ffi.cast(f"struct {kinds[name]} *", argument)
        if name == "IOMMU_IOAS_ALLOC":
            typed.out_ioas_id = 3
        if name == "VFIO_DEVICE_BIND_IOMMUFD":
            typed.out_devid = 5
        size = ffi.sizeof(f"struct {kinds[name]}")
        self.calls.append((name, bytes(ffi.buffer(typed, size))))
        return 0


def fields(kind: str, body: bytes, *names: str) -> list[int]:
    memory = ffi.new("char[]", body)
    typed = ffi.cast(f"struct {kind} *", memory)
    return [int(getattr(typed, name)) for name in names]


def test_the_newer_interfaces_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    fd = Recording()
    space = Ioas.__new__(Ioas)
    Iommu.__init__(space)
    space.iommufd = Iommufd.__new__(Iommufd)
    space.iommufd.fd = fd
    space.number = space.iommufd.ioas_alloc()
    monkeypatch.setattr(space, "ranges", lambda: RANGES)
    monkeypatch.setattr(space, "page_size", lambda: 4096)
    device = DeviceFd(fd)

    space.map(0x4000, 0x7F0000, 0x2000)
    space.map(0x8000, 0x7F0000, 0x1000, writable=False)
    space.unmap(0x4000)
    assert device.bind_iommufd(fd) == 5
    device.attach_iommufd_pt(space.number)

    (_, alloc), (_, first), (_, second), (_, unmap), (_, bind), (_, attach) = fd.calls
    assert fields("iommu_ioas_alloc", alloc, "size", "flags") == [12, 0]
    fixed = lib.IOMMU_IOAS_MAP_FIXED_IOVA | lib.IOMMU_IOAS_MAP_READABLE
    names = ("size", "ioas_id", "iova", "user_va", "length", "flags")
    assert fields("iommu_ioas_map", first, *names) == [
        len(first), 3, 0x4000, 0x7F0000, 0x2000, fixed | lib.IOMMU_IOAS_MAP_WRITEABLE
    ]  # fmt: skip
    assert fields("iommu_ioas_map", second, "flags") == [fixed]
    assert fields("iommu_ioas_unmap", unmap, "ioas_id", "iova", "length") == [3, 0x4000, 0x2000]
    assert fields("vfio_device_bind_iommufd", bind, "argsz", "iommufd") == [16, fd.number]
    assert fields("vfio_device_attach_iommufd_pt", attach, "argsz", "pt_id") == [12, 3]
    fd.close()


@pytest.mark.parametrize(("size", "words"), [(0, "say at least 1"), (1 << 48, "has no 281,474")])
def test_memory_that_cannot_be_had_is_one_sentence(size: int, words: str) -> None:
    with pytest.raises(HostError, match=words):
        DmaMemory(Wide(), size, None, 1 << 64)


class Wide(Model):
    def ranges(self) -> tuple[tuple[int, int], ...]:
        return ((0, (1 << 60) - 1),)


@pytest.mark.parametrize("keep", [lambda view: view[:4], ffi.from_buffer], ids=["slice", "pointer"])
def test_a_part_of_the_view_may_be_kept_for_longer(keep: Callable[[memoryview], Any]) -> None:
    one = Model()
    memory = DmaMemory(one, 100, None, 1 << 64)
    part = keep(memory.view)
    ffi.memmove(part, b"kept", 4)

    memory.close()
    memory.close()

    read = bytearray(4)
    ffi.memmove(read, part, 4)
    assert read == b"kept"
    assert not one.mapped
