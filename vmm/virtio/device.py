"""What every kind of virtio device is, before a transport presents it to a guest."""

from __future__ import annotations

from vmm.cdevice import CDevice
from vmm.native import ffi
from vmm.virtio.core import VirtioCore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.context import DeviceContext


class VirtioDevice(CDevice):
    """A device whose C struct has a `struct virtio_dev vdev`. `core` is its life.

    Subclasses set what stands here, and `kind`, the prefix of their functions in C. They own
    whatever else the device uses on the host, and let go of it in `close()`.
    """

    pci_class = 0x00FF00  # class, subclass and interface: "unclassified", as for most of them
    kernel_option = ""  # which of Linux's options has the driver

    def __init__(self, name: str, context: DeviceContext, pointer: Any, kind: str = "") -> None:
        super().__init__(name, pointer, [], kind, context.loop.pointer)
        vdev = ffi.addressof(self.pointer, "vdev")
        self.core = VirtioCore(name, vdev, context.loop, context.notify)

    def reset(self) -> None:
        """Nothing: resetting the core tells the device in C."""

    def close(self) -> None:
        self.core.close()
        super().close()

    def abandon(self) -> None:
        self.core.abandon()
        super().abandon()
