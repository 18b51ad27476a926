"""Interrupts of a device as objects one can wait on: each vector is an eventfd."""

from __future__ import annotations

import os

from vmm.errors import HostError
from vmm.host.limits import allow_descriptors
from vmm.native import lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.vfio.devicefd import DeviceFd

NAMES = {
    lib.VFIO_PCI_INTX_IRQ_INDEX: "intx",
    lib.VFIO_PCI_MSI_IRQ_INDEX: "msi",
    lib.VFIO_PCI_MSIX_IRQ_INDEX: "msix",
    lib.VFIO_PCI_ERR_IRQ_INDEX: "err",  # the device reported an error it cannot mend
    lib.VFIO_PCI_REQ_IRQ_INDEX: "req",  # the host wants the device back
}


class Vector:
    """One interrupt. fileno() is an eventfd: any poll, and KVM's irqfd, can take it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        return self._fd

    def wait(self, timeout: float | None = None) -> int:
        """How often it came since the last wait, at least once; 0 after `timeout` seconds."""
        from select import POLLIN, poll

        waiter = poll()
        waiter.register(self._fd, POLLIN)
        waiter.poll(None if timeout is None else timeout * 1000)
        try:
            return os.eventfd_read(self._fd)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class Interrupt:
    """One kind of interrupt: "intx", "msi", "msix", "err" or "req".

    A device delivers one of the first three at a time: disable() one before enabling another.
    """

    def __init__(self, device: DeviceFd, index: int, count: int, flags: int) -> None:
        self._device = device
        self.index, self.count = index, count
        self.name = NAMES.get(index, f"irq{index}")
        self.maskable = bool(flags & lib.VFIO_IRQ_INFO_MASKABLE)
        self.automasked = bool(flags & lib.VFIO_IRQ_INFO_AUTOMASKED)
        self.resizable = not flags & lib.VFIO_IRQ_INFO_NORESIZE
        self.vectors: list[Vector] = []

    def enable(self, count: int = 1) -> tuple[Vector, ...]:
        """The first `count` vectors, delivered from now on; what was enabled stays.

        Where the kernel cannot add vectors to enabled ones, all are off for a moment.
        """
        if not 1 <= count <= self.count:
            raise HostError(f"{self.name} of this device has {self.count} vectors, not {count}")
        start = len(self.vectors)
        if start and count > start and not self.resizable:
            self._disable()
            start = 0
        allow_descriptors(count - len(self.vectors), f"{self.name} with {count} vectors")
        fresh = [Vector(f"{self.name}{n}") for n in range(len(self.vectors), count)]
        wanted = [*self.vectors, *fresh]
        try:
            if start < count:
                fds = [vector.fileno() for vector in wanted[start:]]
                self._device.set_irqs(self.index, lib.VFIO_IRQ_SET_ACTION_TRIGGER, start, fds=fds)
        except BaseException:
            for vector in fresh:
                vector.close()
            raise
        self.vectors = wanted
        return tuple(self.vectors[:count])

    def disable(self) -> None:
        """None is delivered any more; the vectors are closed, also where VfioError is raised."""
        vectors, self.vectors = self.vectors, []
        try:
            if vectors:
                self._disable()
        finally:
            for vector in vectors:
                vector.close()

    def _disable(self) -> None:
        self._device.set_irqs(self.index, lib.VFIO_IRQ_SET_ACTION_TRIGGER)

    def trigger(self, vector: int = 0) -> None:
        """As if the device had raised it: for trying who listens."""
        self._device.set_irqs(self.index, lib.VFIO_IRQ_SET_ACTION_TRIGGER, vector, count=1)

    def mask(self, vector: int = 0) -> None:
        self._device.set_irqs(self.index, lib.VFIO_IRQ_SET_ACTION_MASK, vector, count=1)

    def unmask(self, vector: int = 0) -> None:
        """For INTx, which masks itself when it comes: it may come again."""
        self._device.set_irqs(self.index, lib.VFIO_IRQ_SET_ACTION_UNMASK, vector, count=1)
