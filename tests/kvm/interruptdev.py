"""PCI functions that interrupt when the guest asks them to, for guests/pciirq.

The source of the interrupts is Python on the I/O loop's thread; what is tested lies behind the
eventfds it writes.
"""

from __future__ import annotations

import os
from typing import Any

from vmm import layout
from vmm.context import DeviceContext
from vmm.native import PyDevice, ffi, lib
from vmm.pci.bar import Bar, Piece
from vmm.pci.function import Ident, PciFunction
from vmm.pci.intx import Intx
from vmm.pci.msix import Msix
from vmm.pci.root import PciRoot

VENDOR, MSIX, MSI, INTX = 0x1234, 1, 2, 3
VECTORS = 4
FIRE, STORM, ACK, LEFT = 0x00, 0x04, 0x08, 0x0C
TABLE, PBA, BAR_SIZE = 0x1000, 0x2000, 0x4000


class Registers:
    """What the guest reads and writes. `left` requests are still to be served."""

    def __init__(self, context: DeviceContext) -> None:
        self.context = context
        self.left = self.acks = 0

    def read(self, _region: int, offset: int, _size: int) -> int:
        return self.left if offset == LEFT else 0

    def write(self, _region: int, offset: int, _size: int, value: int) -> None:
        if offset == ACK:
            self.acks += 1
            self.left -= 1
            self.acknowledged()
        elif offset in (FIRE, STORM):
            self.context.loop.call(lambda: self.asked(offset, value))

    def acknowledged(self) -> None: ...

    def asked(self, offset: int, value: int) -> None: ...


class Messages(Registers):
    """Fires a vector; in a storm the next one after each acknowledgement."""

    def __init__(self, context: DeviceContext, vectors: Msix) -> None:
        super().__init__(context)
        self.vectors = vectors

    def asked(self, offset: int, value: int) -> None:
        if offset == STORM:
            self.left = value
        self.vectors.fire(value if offset == FIRE else 0)

    def acknowledged(self) -> None:
        if self.left > 0:
            self.context.loop.call(lambda: self.vectors.fire(0))


class Level(Registers):
    """Wants service while `left`. After a trigger it keeps still until it is told of the EOI."""

    def __init__(self, context: DeviceContext, source: Intx) -> None:
        super().__init__(context)
        self.source = source
        self.still = False
        self.token = context.loop.serve(source.resample, lib.EPOLLIN, self._ended)

    def asked(self, offset: int, value: int) -> None:
        self.left += value if offset == STORM else 1
        self._look()

    def _ended(self) -> None:
        os.eventfd_read(self.source.resample)
        self.still = False
        self._look()

    def _look(self) -> None:
        if self.left and not self.still:
            self.still = True
            os.eventfd_write(self.source.trigger, 1)


class InterruptDevices:
    """The three functions in slots 4 to 6 of a machine that does not run yet."""

    def __init__(self, context: DeviceContext, root: PciRoot) -> None:
        self.context = context
        vm_fd = context.vm_fd
        self.vectors = {kind: Msix("irq", context.router, vm_fd, VECTORS) for kind in (MSIX, MSI)}
        gsi = layout.GSI_PCI_INTX[layout.pci_pin(6, 1)]
        self.source = Intx(context.irq, context.loop, gsi)
        self.level = Level(context, self.source)
        self.functions = [
            self._function(MSIX, Messages(context, self.vectors[MSIX])),
            self._function(MSI, Messages(context, self.vectors[MSI])),
            self._function(INTX, self.level),
        ]
        for slot, function in enumerate(self.functions, 4):
            root.plug(function, slot << 3)

    def _function(self, kind: int, registers: Registers) -> PciFunction:
        pin = 1 if kind == INTX else 0
        function = PciFunction(
            f"irq{kind}", Ident(vendor=VENDOR, device=kind, class_code=0xFF0000, pin=pin)
        )
        device = PyDevice(registers)
        self.context.upcalls.append(device)
        pieces = [Piece(offset=0, length=0x1000, dev=device.dev, keep=device)]
        if kind == MSIX:
            pieces += self._vectors(self.vectors[kind], function)
        elif kind == MSI:
            self.vectors[kind].msi_capability(function.pointer)
        function.add_bar(Bar(number=0, kind="mem32", size=BAR_SIZE, pieces=tuple(pieces)))
        return function

    def _vectors(self, vectors: Msix, function: PciFunction) -> list[Piece]:
        dev: Any = ffi.addressof(vectors.pointer, "dev")
        vectors.capability(
            function.pointer, table_bar=0, table_offset=TABLE, pba_bar=0, pba_offset=PBA
        )
        return [
            Piece(offset=TABLE, length=vectors.table_size, dev=dev, region=lib.MSIX_TABLE),
            Piece(offset=PBA, length=vectors.pba_size, dev=dev, region=lib.MSIX_PBA),
        ]

    def close(self) -> None:
        self.context.loop.unserve(self.level.token)
        for function in self.functions:
            function.close()
        for vectors in self.vectors.values():
            vectors.close()
        self.source.close()
