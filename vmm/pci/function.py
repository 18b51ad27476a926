"""One PCI function: its identity, registers and capabilities (core/pci/pci.h)."""

from __future__ import annotations

from vmm.cdevice import CDevice
from vmm.errors import VmmError
from vmm.native import check, ffi, lib
from vmm.pci.bar import KINDS, Bar, Mapping
from vmm.record import Record, as_dict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.pci.root import PciRoot


class Ident(Record):
    """What a function says it is (PCI 3.0, 6.2.1). `pin` 1 is INTA#, 0 no interrupt pin."""

    vendor: int
    device: int
    class_code: int  # 24 bits: class, subclass, programming interface
    revision: int = 0
    subsystem_vendor: int = 0
    subsystem: int = 0
    pin: int = 0


class PciFunction(CDevice):
    """Build it (add_bar, add_capability, ...), then give it to `PciRoot.plug()`.

    `pointer` is the `struct pci_func *`.
    """

    kind = "pci_func"

    def __init__(self, name: str, ident: Ident) -> None:
        fields = ffi.new("struct pci_ident *", as_dict(ident))
        super().__init__(name, lib.pci_func_create(fields), [])
        self.ident = ident
        self.root: PciRoot | None = None
        self.mappings: dict[int, Mapping] = {}

    @property
    def devfn(self) -> int:
        """Slot << 3 | function; meaningless while it is not plugged."""
        return int(self.pointer.devfn)

    @property
    def address(self) -> str:
        """As `lspci` writes it."""
        return f"00:{self.devfn >> 3:02x}.{self.devfn & 7}"

    def describe(self) -> dict[str, object]:
        """What the machine's `info` says of it; `bars` are where they answer now."""
        return {
            "device": self.name,
            "address": self.address,
            "ident": f"{self.ident.vendor:04x}:{self.ident.device:04x}",
            "bars": {m.bar.number: m.base for m in self.mappings.values() if m.base is not None},
        }

    # --- building

    def add_bar(self, bar: Bar) -> None:
        kind = KINDS[bar.kind]
        about = f"{self.name}: BAR {bar.number} of {bar.size:#x} bytes"
        result = lib.pci_add_bar(self.pointer, bar.number, kind, bar.size, bar.prefetchable)
        check(result, "pci_add_bar", about)
        if any(p.offset + p.length > bar.size for p in bar.pieces):
            raise VmmError(f"{about}: what should answer there is larger")
        self.mappings[bar.number] = Mapping(bar, self.name)

    def add_capability(
        self,
        kind: int,
        body: bytes,
        wmask: bytes = b"",
        ops: Any = ffi.NULL,
        opaque: Any = ffi.NULL,
    ) -> int:
        """Appends a capability: `body` follows the two bytes of its header. Returns its offset.

        wmask: bits of the body that the guest may write. ops: a `struct pci_cap_ops *` that lives
        as long as the function.
        """
        add = lib.pci_add_capability
        at = check(add(self.pointer, kind, 2 + len(body), ops, opaque), "pci_add_capability")
        self._fill(at + 2, body, wmask)
        return at

    def add_ext_capability(self, kind: int, version: int, body: bytes, wmask: bytes = b"") -> int:
        """The same for an extended capability, whose header has four bytes."""
        length, none = 4 + len(body), ffi.NULL
        at = lib.pci_add_ext_capability(self.pointer, kind, version, length, none, none)
        check(at, "pci_add_ext_capability")
        self._fill(at + 4, body, wmask)
        return int(at)

    def _fill(self, at: int, body: bytes, wmask: bytes) -> None:
        for index, byte in enumerate(body):
            lib.pci_set(self.pointer, at + index, 1, byte)
        for index, byte in enumerate(wmask):
            lib.pci_set_wmask(self.pointer, at + index, 1, byte)

    def set(self, offset: int, size: int, value: int) -> None:
        """A register as the device presents it."""
        lib.pci_set(self.pointer, offset, size, value)

    def get(self, offset: int, size: int) -> int:
        return int(lib.pci_get(self.pointer, offset, size))

    # --- running

    def intx(self, level: bool) -> None:
        """Raises or lowers the interrupt pin. Any thread."""
        lib.pci_intx_set(self.pointer, level)

    def wanted(self) -> dict[int, int | None]:
        """By register: where the guest has it decode, or None."""
        places = ffi.new("uint64_t[]", lib.PCI_BARS)
        lib.pci_bars(self.pointer, places)
        return {n: None if places[n] == lib.PCI_UNMAPPED else places[n] for n in self.mappings}

    def reset(self) -> None:
        super().reset()
        self._reconcile()

    def load(self, saved: dict[str, Any]) -> None:
        super().load(saved)
        self._reconcile()

    def _reconcile(self) -> None:
        if self.root is not None:
            self.root.reconcile(self)

    def unplug(self) -> None:
        """No guest reaches it any more; who raises its pin still may. May be repeated."""
        if self.root is not None:
            self.root.unplug(self)

    def close(self) -> None:
        self.unplug()
        super().close()
