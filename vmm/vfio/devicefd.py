"""A VFIO device's descriptor: what it has, its interrupts, its resets. One method per ioctl."""

from __future__ import annotations

from vmm.native import ffi, lib
from vmm.record import Record
from vmm.vfio.asking import Reply, VfioFd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

ENOSPC = 28
AFFECTED_MAX = 1 << 12


class Affected(Record):
    """A function that a hot reset resets too. `owned`: this process has it, or its group."""

    address: str
    owned: bool


class DeviceFd:
    """Every method raises VfioError."""

    def __init__(self, fd: VfioFd) -> None:
        self.fd = fd

    def close(self) -> None:
        self.fd.close()

    # --- iommufd

    def bind_iommufd(self, iommufd: VfioFd) -> int:
        """The device's number in that iommufd."""
        kind = "struct vfio_device_bind_iommufd"
        fields = {"argsz": ffi.sizeof(kind), "iommufd": iommufd.number}
        request = ffi.new(f"{kind} *", fields)
        self.fd.ioctl("VFIO_DEVICE_BIND_IOMMUFD", request)
        return int(request.out_devid)

    def attach_iommufd_pt(self, number: int) -> None:
        kind = "struct vfio_device_attach_iommufd_pt"
        request = ffi.new(f"{kind} *", {"argsz": ffi.sizeof(kind), "pt_id": number})
        self.fd.ioctl("VFIO_DEVICE_ATTACH_IOMMUFD_PT", request, f"address space {number}")

    # --- what there is

    def info(self) -> Reply:
        return Reply(self.fd, "VFIO_DEVICE_GET_INFO", "struct vfio_device_info", "")

    def region_info(self, index: int) -> Reply:
        kind, about = "struct vfio_region_info", f"region {index}"
        return Reply(self.fd, "VFIO_DEVICE_GET_REGION_INFO", kind, about, index=index)

    def irq_info(self, index: int) -> Reply:
        kind, about = "struct vfio_irq_info", f"interrupt {index}"
        return Reply(self.fd, "VFIO_DEVICE_GET_IRQ_INFO", kind, about, index=index)

    # --- interrupts

    def set_irqs(
        self, index: int, action: int, start: int = 0, count: int = 0, fds: Sequence[int] = ()
    ) -> None:
        """VFIO_DEVICE_SET_IRQS: eventfds if some are given (-1 takes one away), else `count`."""
        data = lib.VFIO_IRQ_SET_DATA_EVENTFD if fds else lib.VFIO_IRQ_SET_DATA_NONE
        numbers = ffi.new("int32_t[]", list(fds))
        size = ffi.sizeof("struct vfio_irq_set") + 4 * len(fds)
        request = ffi.new("struct vfio_irq_set *", {"data": 4 * len(fds)})
        request.argsz, request.flags, request.index = size, data | action, index
        request.start, request.count = start, len(fds) or count
        ffi.memmove(request.data, numbers, 4 * len(fds))
        self.fd.ioctl("VFIO_DEVICE_SET_IRQS", request, f"interrupt {index}")

    # --- resets

    def reset(self) -> None:
        self.fd.ioctl_value("VFIO_DEVICE_RESET")

    def hot_reset_info(self, groups: Collection[int]) -> list[Affected]:
        """The functions that a reset of the bus or slot resets, this one among them.

        groups: numbers of the groups that this process has; an iommufd knows by itself.
        """
        kind = "struct vfio_pci_hot_reset_info"
        request = ffi.new(f"{kind} *", {"argsz": ffi.sizeof(kind)})
        call = "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO"
        result = lib.sys_ioctl(self.fd.number, getattr(lib, call), request)
        if result not in (0, -ENOSPC):
            raise self.fd.error(call, -result)
        count = min(int(request.count), AFFECTED_MAX)
        size = ffi.sizeof(kind) + count * ffi.sizeof("struct vfio_pci_dependent_device")
        request = ffi.new(f"{kind} *", {"devices": count})
        request.argsz = size
        self.fd.ioctl(call, request)
        by_id = request.flags & lib.VFIO_PCI_HOT_RESET_FLAG_DEV_ID
        strange = lib.VFIO_PCI_DEVID_NOT_OWNED & 0xFFFFFFFF
        return [
            Affected(
                address=f"{d.segment:04x}:{d.bus:02x}:{d.devfn >> 3:02x}.{d.devfn & 7}",
                owned=d.devid != strange if by_id else d.group_id in groups,
            )
            for d in request.devices[0 : min(count, request.count)]
        ]

    def pci_hot_reset(self, groups: Sequence[int]) -> None:
        """Resets all functions of hot_reset_info(); `groups` are descriptors of their groups."""
        request = ffi.new("struct vfio_pci_hot_reset *", {"group_fds": list(groups)})
        request.argsz = ffi.sizeof("struct vfio_pci_hot_reset") + 4 * len(groups)
        request.count = len(groups)
        self.fd.ioctl("VFIO_DEVICE_PCI_HOT_RESET", request)
