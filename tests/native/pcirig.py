"""A PCI root without KVM, and functions whose registers say who answers."""

from __future__ import annotations

from typing import Any

from tests.native.devrig import Rig
from vmm import layout
from vmm.cdevice import CDevice
from vmm.devices.ports import reset_port
from vmm.native import PyDevice
from vmm.pci.bar import Bar, Mapping, Piece
from vmm.pci.function import Ident, PciFunction
from vmm.pci.root import PciRoot

IDENT = Ident(vendor=0x1234, device=0x5678, class_code=0xFF0000, revision=9, pin=1)
COMMAND, BARS, ROM = 0x04, 0x10, 0x30
IO, MEMORY, MASTER = 1, 2, 4


class Answer:
    """Registers that read as `value` everywhere and remember what was written."""

    def __init__(self, value: int) -> None:
        self.value = value
        self.written: list[tuple[int, int, int]] = []

    def read(self, _region: int, _offset: int, size: int) -> int:
        return int.from_bytes(bytes([self.value]) * size, "little")

    def write(self, _region: int, offset: int, size: int, value: int) -> None:
        self.written.append((offset, size, value))


class PciRig(Rig):
    """A root and what a test plugs into it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.reset_port: CDevice = reset_port(legacy=False)
        self.root = PciRoot(self.context, self.reset_port)
        self.root.claim(self.pio, self.mmio)
        self.functions: list[PciFunction] = []
        self.answers: dict[tuple[str, int], Answer] = {}

    def _close_devices(self) -> None:
        for function in self.functions:
            function.close()
        self.root.close()
        self.reset_port.close()

    def build(self, name: str, bars: dict[int, tuple[str, int]], ident: Ident = IDENT) -> Any:
        """A function whose BARs are (kind, size); BAR n of the k-th function reads as 16 k + n."""
        function = PciFunction(name, ident)
        self.functions.append(function)
        for number, (kind, size) in bars.items():
            answer = Answer(16 * len(self.functions) + number)
            self.answers[name, number] = answer
            device = PyDevice(answer)
            piece = Piece(offset=0, length=size, dev=device.dev, keep=device)
            function.add_bar(Bar(number=number, kind=kind, size=size, pieces=(piece,)))
        return function

    def plugged(self, name: str, bars: dict[int, tuple[str, int]], devfn: int) -> Any:
        function = self.build(name, bars)
        self.root.plug(function, devfn)
        return function

    def memory(self, address: int, size: int = 1) -> int:
        return self._probes["mmio"].read(address, size)

    def port(self, address: int, size: int = 1) -> int:
        return self._probes["pio"].read(address, size)

    def poke(self, address: int, size: int, value: int) -> int:
        return self._probes["mmio"].write(address, size, value)

    def out(self, port: int, size: int, value: int) -> int:
        return self._probes["pio"].write(port, size, value)

    def space(self, devfn: int, offset: int, size: int, value: int | None = None) -> int:
        """An access through the memory window."""
        at = layout.PCI_ECAM + (devfn << 12) + offset
        return self.memory(at, size) if value is None else self.poke(at, size, value)

    def move(self, function: PciFunction, number: int, address: int) -> None:
        """Writes the register as a driver does: low half, then high half of a 64-bit one."""
        at = ROM if number == 6 else BARS + 4 * number
        enable = 1 if number == 6 else 0
        self.space(function.devfn, at, 4, address & 0xFFFF_FFFF | enable)
        if function.mappings[number].bar.kind == "mem64":
            self.space(function.devfn, at + 4, 4, address >> 32)

    def decode(self, function: PciFunction, bits: int = IO | MEMORY) -> None:
        self.space(function.devfn, COMMAND, 2, bits)

    def mappings(self) -> list[Mapping]:
        return [m for f in self.root.functions.values() for m in f.mappings.values()]
