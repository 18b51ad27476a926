"""The container interface: /dev/vfio/vfio, groups, type 1 IOMMU. Linux 3.6 and newer."""

from __future__ import annotations

import os

from vmm.errors import HostError, VfioError
from vmm.native import ffi, lib
from vmm.vfio.asking import Reply, VfioFd, open_node
from vmm.vfio.devicefd import DeviceFd
from vmm.vfio.iommu import Iommu
from vmm.vfio.sysfs import offenders
from vmm.vfio.usage import holders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.vfio.iommu import Range
    from vmm.vfio.sysfs import Function

CONTAINER = "/dev/vfio/vfio"
EPERM, EBUSY = 1, 16


class Container:
    """/dev/vfio/vfio: one address space for the devices of its groups."""

    def __init__(self) -> None:
        self.fd = open_node(
            CONTAINER,
            {
                FileNotFoundError: "load it with `modprobe vfio_iommu_type1`",
                PermissionError: f"let this user in with `sudo chmod 666 {CONTAINER}`",
            },
        )

    def close(self) -> None:
        self.fd.close()

    def check_extension(self, name: str) -> bool:
        return bool(self.fd.ioctl_value("VFIO_CHECK_EXTENSION", getattr(lib, name)))

    def set_iommu(self, name: str) -> None:
        self.fd.ioctl_value("VFIO_SET_IOMMU", getattr(lib, name), name)

    def iommu_info(self) -> Reply:
        return Reply(self.fd, "VFIO_IOMMU_GET_INFO", "struct vfio_iommu_type1_info", "")

    def map_dma(self, iova: int, address: int, size: int, flags: int) -> None:
        kind = "struct vfio_iommu_type1_dma_map"
        fields = {"vaddr": address, "iova": iova, "size": size, "flags": flags}
        request = ffi.new(f"{kind} *", {"argsz": ffi.sizeof(kind), **fields})
        self.fd.ioctl("VFIO_IOMMU_MAP_DMA", request, f"{size:#x} bytes at {iova:#x}")

    def unmap_dma(self, iova: int, size: int) -> None:
        kind = "struct vfio_iommu_type1_dma_unmap"
        fields = {"argsz": ffi.sizeof(kind), "iova": iova, "size": size}
        request = ffi.new(f"{kind} *", fields)
        self.fd.ioctl("VFIO_IOMMU_UNMAP_DMA", request, f"{size:#x} bytes at {iova:#x}")


class Group:
    """/dev/vfio/N: what the IOMMU cannot keep apart. One process has it at a time."""

    def __init__(self, one: Function) -> None:
        self.path = f"/dev/vfio/{one.group}"
        self.devices = 0  # of it that are open here
        try:
            self.fd = open_node(
                self.path,
                {
                    FileNotFoundError: f"bind it first with `sudo vmm vfio bind {one.address}`",
                    PermissionError: f"let this user in with `sudo chown $USER {self.path}`",
                },
            )
        except HostError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno == EBUSY:
                raise HostError(busy(self.path, one.node)) from cause
            raise

    def close(self) -> None:
        self.fd.close()

    def viable(self) -> bool:
        reply = Reply(self.fd, "VFIO_GROUP_GET_STATUS", "struct vfio_group_status", self.path)
        return bool(reply.struct.flags & lib.VFIO_GROUP_FLAGS_VIABLE)

    def set_container(self, container: Container) -> None:
        number = ffi.new("int *", container.fd.number)
        self.fd.ioctl("VFIO_GROUP_SET_CONTAINER", number, self.path)

    def device_fd(self, address: str) -> DeviceFd:
        name = ffi.new("char[]", address.encode())
        return DeviceFd(VfioFd(self.fd.ioctl("VFIO_GROUP_GET_DEVICE_FD", name, address)))


def busy(path: str, other: str = "") -> str:
    """The sentence about a node that another process has open, or the `other` interface's node."""
    found = [one for node in filter(None, (path, other)) for one in holders(node)]
    names = dict.fromkeys(f"process {one.pid} ({one.name})" for one in found)
    who = " and ".join(names) or "another program, or this one,"
    return f"Opening {path} failed: {who} uses it; end that, then try again"


class Type1(Iommu):
    """Devices of several groups in one container."""

    name = "type1"

    def __init__(self) -> None:
        super().__init__()
        self.container = Container()
        self.groups: dict[int, Group] = {}

    def close(self) -> None:
        for number in tuple(self.groups):
            self._part(number)
        self.container.close()

    def open(self, one: Function) -> DeviceFd:
        assert one.group is not None
        if one.group not in self.groups:
            self.groups[one.group] = self._join(one)
        group = self.groups[one.group]
        try:
            device = group.device_fd(one.address)
        except BaseException:
            if not group.devices:
                self._part(one.group)
            raise
        group.devices += 1
        return device

    def leave(self, one: Function, device: DeviceFd) -> None:
        device.close()
        group = self.groups.get(one.group) if one.group is not None else None
        if group is None:
            return
        group.devices -= 1
        if not group.devices:
            assert one.group is not None
            self._part(one.group)

    def _part(self, number: int) -> None:
        group = self.groups.pop(number)
        self.on_close(group.fd.number)
        group.close()
        if not self.groups:
            self.mapped.clear()  # the kernel has forgotten it with the last group

    def _join(self, one: Function) -> Group:
        group = Group(one)
        try:
            if not group.viable():
                names = ", ".join(f"{o.address} has {o.driver}" for o in offenders(one))
                raise HostError(
                    f"IOMMU group {one.group} cannot be used while the host drives a part of it "
                    f"({names or 'see `vmm vfio list`'}); `vmm vfio bind --group {one.address}`"
                )
            group.set_container(self.container)
            if not self.groups:
                self._set_iommu()
            self.on_open(group.fd.number)
        except VfioError as error:
            group.close()
            raise _joining(one, error) from error
        except BaseException:
            group.close()
            raise
        return group

    def _set_iommu(self) -> None:
        good = self.container.check_extension("VFIO_TYPE1v2_IOMMU")
        self.container.set_iommu("VFIO_TYPE1v2_IOMMU" if good else "VFIO_TYPE1_IOMMU")

    def ranges(self) -> tuple[Range, ...]:
        reply = self.container.iommu_info()
        found = reply.capabilities(lib.VFIO_IOMMU_INFO_CAPS)
        offset = found.get(lib.VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 0)
        kind = "struct vfio_iommu_type1_info_cap_iova_range"
        pairs = reply.pairs(offset, kind, "nr_iovas", "iova_ranges") if offset else []
        return tuple((pair.start, pair.end) for pair in pairs) or super().ranges()

    def page_size(self) -> int:
        sizes = int(self.container.iommu_info().struct.iova_pgsizes)
        return sizes & -sizes or os.sysconf("SC_PAGE_SIZE")

    def _map(self, iova: int, address: int, size: int, writable: bool) -> None:
        flags = lib.VFIO_DMA_MAP_FLAG_READ | (lib.VFIO_DMA_MAP_FLAG_WRITE if writable else 0)
        self.container.map_dma(iova, address, size, flags)

    def _unmap(self, iova: int, size: int) -> None:
        self.container.unmap_dma(iova, size)

    def owned_groups(self) -> tuple[int, ...]:
        return tuple(self.groups)

    def reset_tokens(self) -> list[int]:
        return [group.fd.number for group in self.groups.values()]


def _joining(one: Function, error: VfioError) -> HostError | VfioError:
    if error.errno != EPERM:
        return error
    return HostError(
        f"Putting IOMMU group {one.group} under a new address space failed: {error.call}: "
        f"{error.strerror}; the platform may lack interrupt remapping, or the firmware keeps the "
        f"device for itself: `vmm vfio check {one.address}` and `dmesg` tell"
    )
