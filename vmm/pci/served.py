"""PCI devices whose registers are in Python: one base address register, and vectors.

docs/extending.md has an example.
"""

from __future__ import annotations

from vmm.errors import StateError
from vmm.native import PyDevice
from vmm.pci.bar import Bar, Piece
from vmm.pci.device import PciDevice
from vmm.pci.function import Ident, PciFunction
from vmm.pci.msix import Msix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.context import DeviceContext

STATE_VERSION = 1


class ServedPciDevice(PciDevice):
    """Registers in base address register 0, `vectors` MSI-X vectors behind register 1.

    Subclasses set what stands here and write `read()` and `write()`, which run on the thread of the
    vCPU that made the access, one vCPU's perhaps while another one's runs too: what they share
    needs a lock. An exception that leaves one ends the machine.
    """

    ident = Ident(vendor=0, device=0, class_code=0)
    size = 4096  # of the registers: a power of two, at least 16
    vectors = 1

    def __init__(self, name: str, context: DeviceContext) -> None:
        function = PciFunction(name, self.ident)
        registers = _Registers(self, context)
        self.msix = Msix(name, context.router, context.vm_fd, self.vectors)
        super().__init__(function, registers=registers, msix=self.msix)
        dev = registers.pydevice.dev
        piece = Piece(offset=0, length=self.size, dev=dev, keep=registers)
        function.add_bar(Bar(number=0, kind="mem32", size=self.size, pieces=(piece,)))
        self.msix.add_bar(function, 1)

    # --- what a subclass writes

    def read(self, offset: int, size: int) -> int:
        """`size` bytes (1, 2, 4 or 8) of the registers; offset + size lies within them."""
        raise NotImplementedError

    def write(self, offset: int, size: int, value: int) -> None:
        raise NotImplementedError

    def power_on(self) -> None:
        """The machine was reset."""

    def state(self) -> Any:
        """What a saved machine keeps of the registers: plain data."""
        return None

    def restore(self, state: Any) -> None:
        """Takes back what `state()` gave."""

    # --- what a subclass may call

    def fire(self, vector: int) -> None:
        """Raises an MSI-X vector. Any thread."""
        self.msix.fire(vector)


class _Registers:
    """The part of a ServedPciDevice that answers on the bus and is saved."""

    def __init__(self, device: ServedPciDevice, context: DeviceContext) -> None:
        self.device = device
        self.pydevice = PyDevice(self)
        self._upcalls = context.upcalls
        self._upcalls.append(self.pydevice)

    def read(self, _region: int, offset: int, size: int) -> int:
        return self.device.read(offset, size)

    def write(self, _region: int, offset: int, size: int, value: int) -> None:
        self.device.write(offset, size, value)

    def reset(self) -> None:
        self.device.power_on()

    def counters(self) -> dict[str, int]:
        return self.pydevice.counts()

    def save(self) -> dict[str, Any]:
        return {"version": STATE_VERSION, "state": self.device.state()}

    def load(self, saved: dict[str, Any]) -> None:
        if saved.get("version") != STATE_VERSION:
            raise StateError(f"The saved state of {self.device.name} has another version than ours")
        self.device.restore(saved["state"])

    def close(self) -> None:
        if self.pydevice in self._upcalls:
            self._upcalls.remove(self.pydevice)
