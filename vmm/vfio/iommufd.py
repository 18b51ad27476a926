"""The newer interface: /dev/iommu, a character device for each function. Linux 6.6 and newer."""

from __future__ import annotations

from vmm.errors import HostError, VfioError
from vmm.native import ffi, lib
from vmm.vfio.asking import open_node
from vmm.vfio.devicefd import DeviceFd
from vmm.vfio.iommu import Iommu
from vmm.vfio.type1 import EBUSY, busy
from vmm.vfio.usage import holders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.vfio.iommu import Range
    from vmm.vfio.sysfs import Function

NODE = "/dev/iommu"
EINVAL, EMSGSIZE = 22, 90
RANGES_MAX = 1 << 12


class Iommufd:
    """/dev/iommu: I/O address spaces by number."""

    def __init__(self) -> None:
        self.fd = open_node(
            NODE,
            {
                FileNotFoundError: "load it with `modprobe iommufd`",
                PermissionError: f"let this user in with `sudo chown $USER {NODE}`",
            },
        )

    def close(self) -> None:
        self.fd.close()

    def _request(self, kind: str, **fields: Any) -> Any:
        return ffi.new(f"struct {kind} *", {"size": ffi.sizeof(f"struct {kind}"), **fields})

    def ioas_alloc(self) -> int:
        request = self._request("iommu_ioas_alloc")
        self.fd.ioctl("IOMMU_IOAS_ALLOC", request)
        return int(request.out_ioas_id)

    def ioas_iova_ranges(self, ioas: int) -> tuple[list[Range], int]:
        """The ranges that may be used, and the alignment of mappings."""
        request = self._request("iommu_ioas_iova_ranges", ioas_id=ioas)
        result = lib.sys_ioctl(self.fd.number, lib.IOMMU_IOAS_IOVA_RANGES, request)
        if result not in (0, -EMSGSIZE):
            raise self.fd.error("IOMMU_IOAS_IOVA_RANGES", -result)
        count = min(int(request.num_iovas), RANGES_MAX)
        table = ffi.new("struct iommu_iova_range[]", count)
        address = int(ffi.cast("uintptr_t", table))
        request = self._request(
            "iommu_ioas_iova_ranges", ioas_id=ioas, num_iovas=count, allowed_iovas=address
        )
        self.fd.ioctl("IOMMU_IOAS_IOVA_RANGES", request)
        found = [(item.start, item.last) for item in table[0 : min(count, request.num_iovas)]]
        return found, int(request.out_iova_alignment)

    def ioas_map(self, ioas: int, iova: int, address: int, size: int, flags: int) -> None:
        request = self._request(
            "iommu_ioas_map", ioas_id=ioas, iova=iova, user_va=address, length=size, flags=flags
        )
        self.fd.ioctl("IOMMU_IOAS_MAP", request, f"{size:#x} bytes at {iova:#x}")

    def ioas_unmap(self, ioas: int, iova: int, size: int) -> None:
        request = self._request("iommu_ioas_unmap", ioas_id=ioas, iova=iova, length=size)
        self.fd.ioctl("IOMMU_IOAS_UNMAP", request, f"{size:#x} bytes at {iova:#x}")


class Ioas(Iommu):
    """One I/O address space of an iommufd."""

    name = "iommufd"

    def __init__(self) -> None:
        super().__init__()
        self.iommufd = Iommufd()
        try:
            self.number = self.iommufd.ioas_alloc()
        except BaseException:
            self.iommufd.close()
            raise

    def close(self) -> None:
        self.iommufd.close()

    def open(self, one: Function) -> DeviceFd:
        device = DeviceFd(self._open(one))
        try:
            self.on_open(device.fd.number)
        except BaseException:
            device.close()
            raise
        try:
            device.bind_iommufd(self.iommufd.fd)
            device.attach_iommufd_pt(self.number)
        except VfioError as error:
            self.leave(one, device)
            if error.errno in (EINVAL, EBUSY) and holders(one.node):
                raise HostError(busy(one.node)) from error  # anybody may open it, one may bind it
            raise
        except BaseException:
            self.leave(one, device)
            raise
        return device

    def leave(self, one: Function, device: DeviceFd) -> None:
        try:
            self.on_close(device.fd.number)
        finally:
            device.close()

    def _open(self, one: Function) -> Any:
        if not one.node:
            raise HostError(
                f"{one.address} has no device node of its own; bind it first with "
                f"`sudo vmm vfio bind {one.address}`, or use the container interface"
            )
        try:
            remedy = f"let this user in with `sudo chown $USER {one.node}`"
            return open_node(one.node, {PermissionError: remedy})
        except HostError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno == EBUSY:
                raise HostError(busy(one.node)) from cause
            raise

    def ranges(self) -> tuple[Range, ...]:
        return tuple(self.iommufd.ioas_iova_ranges(self.number)[0])

    def page_size(self) -> int:
        return self.iommufd.ioas_iova_ranges(self.number)[1]

    def _map(self, iova: int, address: int, size: int, writable: bool) -> None:
        flags = lib.IOMMU_IOAS_MAP_FIXED_IOVA | lib.IOMMU_IOAS_MAP_READABLE
        if writable:
            flags |= lib.IOMMU_IOAS_MAP_WRITEABLE
        self.iommufd.ioas_map(self.number, iova, address, size, flags)

    def _unmap(self, iova: int, size: int) -> None:
        self.iommufd.ioas_unmap(self.number, iova, size)

    def reset_tokens(self) -> list[int]:
        return []  # the kernel knows by itself whose devices are bound to this iommufd
