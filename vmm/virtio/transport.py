"""The PCI transport: a function, its registers and vectors around any virtio device.

Base address register 0 holds all registers and the vectors (virtio_pci.h), register 2 the
notifications, as I/O ports. The legacy interface has its ports in register 0, its vectors in 1.
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
from vmm.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.context import DeviceContext
    from vmm.virtio.device import VirtioDevice

VENDOR = 0x1AF4
MODERN_IDS = 0x1040  # + the device's id
LEGACY_IDS = {1: 0x1000, 2: 0x1001, 3: 0x1003, 4: 0x1005}  # by the device's id (4.1.2.1)
SUBSYSTEM = 0x1100
REGISTERS, VECTORS, NOTIFICATIONS = 0, 1, 2  # base address registers
REGISTERS_SIZE = 0x10000
TABLE, PENDING = 0x8000, 0xC000  # where the vectors are in the first of them
VECTORS_MAX = (PENDING - TABLE) // 16
INTA = 1


class TransportConfig(Record):
    """notify: "pio" or "mmio", where the driver rings. platform: offer VIRTIO_F_ACCESS_PLATFORM,
    and refuse drivers that decline it. legacy: the interface of before virtio 1.0, alone."""

    notify: str = "pio"
    platform: bool = False
    legacy: bool = False


class Registers(CDevice):
    """The transport's own part, `struct virtio_pci`. The device resets it."""

    kind = "virtio_pci"

    def reset(self) -> None:
        pass


class VirtioPci(PciDevice):
    """`device` behind a PCI function; plug it into a root."""

    def __init__(
        self,
        context: DeviceContext,
        device: VirtioDevice,
        transport: TransportConfig | None = None,
    ) -> None:
        transport = transport or TransportConfig()
        self.device, self.core = device, device.core
        self._memory = context.memory
        self.queues = int(self.core.pointer.queue_count)
        if transport.platform:
            bit = 1 << lib.VIRTIO_F_ACCESS_PLATFORM
            self.core.pointer.offered |= bit
            self.core.pointer.required |= bit
        function = PciFunction(device.name, identity(device, transport.legacy))
        vectors = min(self.queues + 1, VECTORS_MAX)
        self.msix = Msix(device.name, context.router, context.vm_fd, vectors)
        pointer = lib.virtio_pci_create(self._setup(function, transport))
        self.registers = Registers(device.name, pointer, [])
        super().__init__(function, device=device, msix=self.msix, transport=self.registers)
        if transport.legacy:
            self._add_legacy_bars()
        else:
            self._add_bars(transport.notify)

    def _setup(self, function: PciFunction, transport: TransportConfig) -> Any:
        fields = {
            "d": self.core.pointer,
            "func": function.pointer,
            "msix": self.msix.pointer,
            "window_bar": REGISTERS,
            "notify_bar": NOTIFICATIONS if transport.notify == "pio" else REGISTERS,
            "legacy": transport.legacy,
        }
        return ffi.new("struct virtio_pci_setup *", fields)

    def _add_bars(self, notify: str) -> None:
        """Registers and vectors; ports for notifications, if they are to be there."""
        part, ring = int(lib.VIRTIO_PCI_PART), int(lib.VIRTIO_PCI_NOTIFY_REGION)
        pieces = [self._piece(region * part, part, region) for region in range(ring + 1)]
        self.function.add_bar(
            Bar(
                number=REGISTERS,
                kind="mem32",
                size=REGISTERS_SIZE,
                pieces=(*pieces, *self.msix.pieces(TABLE, PENDING)),
                doorbells=self._doorbells(ring * part, width=0),
            )
        )
        self.msix.capability(
            self.function.pointer,
            table_bar=REGISTERS, table_offset=TABLE, pba_bar=REGISTERS, pba_offset=PENDING,
        )  # fmt: skip
        if notify == "pio":
            size = _power_of_two(self.queues * lib.VIRTIO_PCI_NOTIFY_STEP)
            self.function.add_bar(
                Bar(
                    number=NOTIFICATIONS,
                    kind="io",
                    size=size,
                    pieces=(self._piece(0, size, ring),),
                    doorbells=self._doorbells(0, width=2),
                )
            )

    def _piece(self, offset: int, length: int, region: int) -> Piece:
        dev = ffi.addressof(self.core.pointer, "dev")
        return Piece(offset=offset, length=length, dev=dev, region=region, keep=self)

    def _doorbells(self, start: int, width: int) -> tuple[Doorbell, ...]:
        """One for each queue, at its own address. width: of the writes taken, 0 for any."""
        return tuple(
            Doorbell(
                address=start + index * lib.VIRTIO_PCI_NOTIFY_STEP,
                size=width,
                fd=self.core.pointer.queue[index].kick_fd,
            )
            for index in range(self.queues)
        )

    def _add_legacy_bars(self) -> None:
        """Ports, with all doorbells at one of them: the value written says which queue."""
        size = _power_of_two(lib.VIRTIO_PCI_LEGACY_PORTS + self.core.pointer.config_len)
        ports = ffi.addressof(self.registers.pointer, "ports")
        bells = tuple(
            Doorbell(
                address=lib.VIRTIO_PCI_LEGACY_NOTIFY,
                size=2,
                fd=self.core.pointer.queue[index].kick_fd,
                datamatch=index,
            )
            for index in range(self.queues)
        )
        piece = Piece(offset=0, length=size, dev=ports, keep=self)
        self.function.add_bar(
            Bar(number=REGISTERS, kind="io", size=size, pieces=(piece,), doorbells=bells)
        )
        self.msix.add_bar(self.function, VECTORS)

    # --- life

    def pause(self) -> None:
        """Nothing is under way any more, and guest memory stays as it is, until `resume()`."""
        self.core.pause()

    def resume(self) -> None:
        self.core.resume()

    def ask_halt(self) -> None:
        self.core.ask_halt()

    def halt(self) -> None:
        self.core.halt()

    def reset(self) -> None:
        self.core.halt()
        super().reset()

    def unused(self) -> str | None:
        return None if self.core.driven() else self.device.kernel_option

    def counters(self) -> dict[str, int]:
        return super().counters() | self.core.counters()

    def save(self) -> dict[str, Any]:
        """StateError unless the device is idle or paused."""
        return {**super().save(), "core": self.core.save()}

    def load(self, saved: dict[str, Any]) -> None:
        """The rings come last: they are served as soon as they are there."""
        if "core" not in saved:
            raise StateError(f"The saved state of {self.name} does not fit: it has no rings")
        self.core.halt()
        super().load({name: part for name, part in saved.items() if name != "core"})
        self.core.load(saved["core"])

    def close(self) -> None:
        self.function.unplug()
        try:
            self.core.close()
        except BaseException:  # whatever it waits for still ends in all of this
            for part in (self.device, self.msix, self.registers, self.function, self._memory):
                part.abandon()
            raise
        super().close()


def identity(device: VirtioDevice, legacy: bool) -> Ident:
    """What the function says it is (4.1.2). Legacy drivers look at the subsystem's number."""
    kind = int(device.core.pointer.device_id)
    return Ident(
        vendor=VENDOR,
        device=LEGACY_IDS[kind] if legacy else MODERN_IDS + kind,
        class_code=device.pci_class,
        revision=0 if legacy else 1,
        subsystem_vendor=VENDOR,
        subsystem=kind if legacy else SUBSYSTEM,
        pin=INTA,
    )


def _power_of_two(size: int) -> int:
    """The least one that holds `size` bytes of ports."""
    return int(max(4, 1 << (size - 1).bit_length()))
