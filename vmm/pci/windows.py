"""The address ranges that the host bridge passes on, and who got which part of them from us.

What lies outside no guest can give to a PCI device: RAM, the interrupt chips and configuration
space itself are out of reach of base address registers.
"""

from __future__ import annotations

from vmm import layout
from vmm.errors import VmmError

BIG = 64 * layout.MIB  # 64-bit registers from this size on go above 4 GiB


class Window:
    """One range; parts of it are given out, lowest free place first."""

    def __init__(self, base: int, size: int) -> None:
        self.base, self.end = base, base + size
        self._taken: dict[int, int] = {}  # base -> size

    def holds(self, base: int, size: int) -> bool:
        return self.base <= base and base + size <= self.end

    def take(self, size: int, avoid: list[tuple[int, int]]) -> int | None:
        """A place aligned to `size`, clear of the (base, size) to avoid. None: it is full."""
        busy = sorted([*self._taken.items(), *avoid])
        at = -(-self.base // size) * size
        for base, length in busy:
            if at + size <= base:
                break
            if at < base + length:
                at = -(-(base + length) // size) * size
        if at + size > self.end:
            return None
        self._taken[at] = size
        return at

    def give_back(self, base: int) -> None:
        self._taken.pop(base, None)


class Windows:
    """The windows of a machine with that much RAM."""

    def __init__(self, ram_size: int) -> None:
        low = layout.PCI_MMIO32
        self.io = Window(layout.PCI_IO, layout.PCI_IO_END - layout.PCI_IO)
        self.mem32 = Window(low, layout.PCI_MMIO32_END - low)
        self.mem64 = Window(*layout.pci_mmio64(ram_size))

    def _fitting(self, kind: str, size: int) -> list[Window]:
        if kind == "io":
            return [self.io]
        if kind != "mem64":
            return [self.mem32]
        return [self.mem64, self.mem32] if size >= BIG else [self.mem32, self.mem64]

    def reach(self, kind: str, base: int, size: int) -> bool:
        """Whether the bridge passes all of that range on."""
        windows = [self.io] if kind == "io" else [self.mem32, self.mem64]
        return any(window.holds(base, size) for window in windows)

    def take(self, kind: str, size: int, avoid: list[tuple[int, int]], owner: str) -> int:
        """A place for a register. Memory is given in whole pages. VmmError if none is left."""
        length = size if kind == "io" else max(size, layout.PAGE)
        for window in self._fitting(kind, size):
            base = window.take(length, avoid)
            if base is not None:
                return base
        raise VmmError(f"No room is left for {owner}: {size:#x} bytes of PCI {kind} space")

    def give_back(self, base: int) -> None:
        for window in (self.io, self.mem32, self.mem64):
            window.give_back(base)
