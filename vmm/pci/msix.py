"""Vectors of a PCI function: MSI-X, or MSI, over core/pci/msix.c.

Writing a vector's eventfd raises it. The guest's writes to table and capability, masking, routing
and the irqfds stay in C.
"""

from __future__ import annotations

from vmm import layout
from vmm.cdevice import CDevice
from vmm.native import check, ffi, lib
from vmm.pci.bar import Bar, Piece

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.irq import IrqRouter
    from vmm.pci.function import PciFunction

ENTRY_BYTES, ENTRY_WORDS = 16, 4


class Msix(CDevice):
    """`vectors` (1 to 2048) of one function, each with a GSI of `router` and an eventfd.

    vm_fd: -1 in tests without KVM; whoever reads an eventfd then plays KVM. Raises VmmError when
    GSIs are used up and KvmError when descriptors are.
    """

    kind = "msix"

    def __init__(self, name: str, router: IrqRouter, vm_fd: int, vectors: int) -> None:
        super().__init__(name, lib.msix_create(router.pointer, vm_fd, vectors), ())
        self.vectors = vectors
        self.table_size = ENTRY_BYTES * vectors
        self.pba_size = 8 * -(-vectors // 64)
        self._router = router
        self._gsis: list[int] = []
        try:
            for vector in range(vectors):
                gsi = router.alloc_gsi()
                self._gsis.append(gsi)
                check(lib.msix_set_gsi(self.pointer, vector, gsi), "eventfd", f"vector {vector}")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Detaches and frees everything. Nobody fires any more. May be repeated."""
        super().close()
        while self._gsis:
            self._router.free_gsi(self._gsis.pop())

    def capability(self, function: Any, **place: int) -> None:
        """Adds MSI-X to a `struct pci_func`; `place` are the fields of struct msix_place."""
        where = ffi.new("struct msix_place *", place)
        check(lib.msix_capability(self.pointer, function, where), "msix_capability", self.name)

    def pieces(self, table: int, pba: int) -> tuple[Piece, ...]:
        """What answers at these offsets of a base address register."""
        dev = ffi.addressof(self.pointer, "dev")
        return (
            Piece(offset=table, length=self.table_size, dev=dev, region=lib.MSIX_TABLE, keep=self),
            Piece(offset=pba, length=self.pba_size, dev=dev, region=lib.MSIX_PBA, keep=self),
        )

    def add_bar(self, function: PciFunction, number: int) -> None:
        """Capability, and a base address register with nothing but table and pending bits."""
        size = max(2 * layout.PAGE, 1 << (2 * self.table_size - 1).bit_length())
        pieces = self.pieces(0, size // 2)
        function.add_bar(Bar(number=number, kind="mem32", size=size, pieces=pieces))
        self.capability(
            function.pointer,
            table_bar=number, table_offset=0, pba_bar=number, pba_offset=size // 2,
        )  # fmt: skip

    def msi_capability(self, function: Any) -> None:
        """Adds MSI instead; for a power of two of at most 32 vectors."""
        check(lib.msi_capability(self.pointer, function), "msi_capability", self.name)

    def fire(self, vector: int) -> None:
        """Raises the vector; masked it becomes pending."""
        lib.msix_fire(self.pointer, vector)

    def fd(self, vector: int) -> int:
        """The eventfd that does the same when written, for as long as this object is open."""
        return int(lib.msix_fd(self.pointer, vector))

    def pending(self) -> set[int]:
        """Vectors that were fired and not delivered."""
        words = {
            first: lib.msix_pending(self.pointer, first) for first in range(0, self.vectors, 32)
        }
        return {first + n for first, word in words.items() for n in range(32) if word >> n & 1}

    def counters(self) -> dict[str, int]:
        """Messages that KVM refused or that are none."""
        return {"msix_failures": self.pointer.failures}

    def save(self) -> dict[str, Any]:
        """As CDevice, without the entries of vectors that do not exist."""
        saved: dict[str, Any] = super().save()
        saved["table"] = saved["table"][: ENTRY_WORDS * self.vectors]
        saved["pending"] = saved["pending"][: self.pba_size]
        return saved

    def load(self, saved: dict[str, Any]) -> None:
        """Takes back what `save()` gave. StateError, with nothing changed, if it cannot be."""
        most = {"table": ENTRY_WORDS * lib.MSIX_MAX_VECTORS, "pending": lib.MSIX_MAX_VECTORS // 8}
        padded = {
            name: value + [0] * (most[name] - len(value)) if isinstance(value, list) else value
            for name, value in saved.items()
        }
        super().load(padded)
