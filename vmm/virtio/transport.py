"""The PCI transport: a function, its registers and vectors around any virtio device.

Base address register 0 holds all registers and the vectors (core/virtio_pci.h), register 2 the
notifications, as I/O ports; the legacy interface has its ports in register 0, its vectors in 1.
"""

from __future__ import annotations

from vmm.cdevice import CDevice
from vmm.doorbell import Doorbell
from vmm.errors import StateError
from vmm.native import ffi, lib
from vmm.pci.bar import Bar, Piece
from vmm.pci.device import PciDevice
from vmm.pci.function import Ident, PciFunction
from vmm.pci.msix import Msix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.context import DeviceContext
    from vmm.virtio.device import VirtioDevice

VENDOR = 0x1AF4
MODERN_IDS = 0x1040  # + the device's id
SUBSYSTEM = 0x1100
REVISION = 1
REGISTERS, NOTIFICATIONS = 0, 2  # base address registers
REGISTERS_SIZE = 0x10000
TABLE, PENDING = 0x8000, 0xC000  # where the vectors are in the first of them
VECTORS_MAX = (PENDING - TABLE) // 16
INTA = 1


class Registers(CDevice):
    """The transport's own part, `struct virtio_pci`. The device resets it."""

    kind = "virtio_pci"

    def reset(self) -> None:
        pass


class VirtioPci(PciDevice):
    """`device` behind a PCI function; plug it into a root.

    notify: "pio" or "mmio", where the driver rings. platform: offer VIRTIO_F_ACCESS_PLATFORM, and
    refuse drivers that decline it.
    """

    def __init__(
        self,
        context: DeviceContext,
        device: VirtioDevice,
        *,
        notify: str = "pio",
        platform: bool = False,
    ) -> None:
        self.device, self.core = device, device.core
        self.queues = int(self.core.pointer.queue_count)
        if platform:
            self._offer_platform()
        function = PciFunction(device.name, identity(device))
        vectors = min(self.queues + 1, VECTORS_MAX)
        self.msix = Msix(device.name, context.router, context.vm_fd, vectors)
        self.msix.capability(
            function.pointer,
            table_bar=REGISTERS,
            table_offset=TABLE,
            pba_bar=REGISTERS,
            pba_offset=PENDING,
        )
        setup = ffi.new(
            "struct virtio_pci_setup *",
            {
                "d": self.core.pointer,
                "func": function.pointer,
                "msix": self.msix.pointer,
                "window_bar": REGISTERS,
                "notify_bar": NOTIFICATIONS if notify == "pio" else REGISTERS,
            },
        )
        registers = Registers(device.name, lib.virtio_pci_create(setup), [])
        for bar in self._bars(notify):
            function.add_bar(bar)
        super().__init__(function, device=device, msix=self.msix, transport=registers)

    def _offer_platform(self) -> None:
        bit = 1 << lib.VIRTIO_F_ACCESS_PLATFORM
        self.core.pointer.offered |= bit
        self.core.pointer.required |= bit

    def _bars(self, notify: str) -> list[Bar]:
        """Registers and vectors; a register of ports for notifications, if they are to be there."""
        ring = lib.VIRTIO_PCI_NOTIFY_REGION
        dev = ffi.addressof(self.core.pointer, "dev")
        size = max(4, 1 << (self.queues * lib.VIRTIO_PCI_NOTIFY_STEP - 1).bit_length())
        pieces = [
            Piece(offset=region * lib.VIRTIO_PCI_PART, length=lib.VIRTIO_PCI_PART, dev=dev,
                  region=region, keep=self)
            for region in range(ring + 1)
        ]  # fmt: skip
        pieces += self.msix.pieces(TABLE, PENDING)
        registers = Bar(
            number=REGISTERS,
            kind="mem32",
            size=REGISTERS_SIZE,
            pieces=tuple(pieces),
            doorbells=self._doorbells(ring * lib.VIRTIO_PCI_PART, 0),
        )
        if notify != "pio":
            return [registers]
        ports = Bar(
            number=NOTIFICATIONS,
            kind="io",
            size=size,
            pieces=(Piece(offset=0, length=size, dev=dev, region=ring, keep=self),),
            doorbells=self._doorbells(0, 2),
        )
        return [registers, ports]

    def _doorbells(self, start: int, size: int) -> tuple[Doorbell, ...]:
        """One for each queue. size: of the writes taken, 0 for any."""
        return tuple(
            Doorbell(
                address=start + index * lib.VIRTIO_PCI_NOTIFY_STEP,
                size=size,
                fd=self.core.pointer.queue[index].kick_fd,
            )
            for index in range(self.queues)
        )

    # --- life

    def pause(self) -> None:
        self.core.pause()

    def resume(self) -> None:
        self.core.resume()

    def reset(self) -> None:
        self.core.halt()
        super().reset()

    def counters(self) -> dict[str, int]:
        return super().counters() | self.core.counters()

    def save(self) -> dict[str, Any]:
        return {**super().save(), "core": self.core.save()}

    def load(self, saved: dict[str, Any]) -> None:
        """The rings come last: they are served as soon as they are there."""
        if "core" not in saved:
            raise StateError(f"The saved state of {self.name} does not fit: it has no rings")
        self.core.halt()
        super().load({name: part for name, part in saved.items() if name != "core"})
        self.core.load(saved["core"])

    def close(self) -> None:
        self.function.close()
        self.core.close()
        super().close()


def identity(device: VirtioDevice) -> Ident:
    """What the function says it is (4.1.2)."""
    return Ident(
        vendor=VENDOR,
        device=MODERN_IDS + device.core.pointer.device_id,
        class_code=device.pci_class,
        revision=REVISION,
        subsystem_vendor=VENDOR,
        subsystem=SUBSYSTEM,
        pin=INTA,
    )
