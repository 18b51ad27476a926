"""Base address registers of a function of the host: what of them the guest reaches by itself.

All that can be mapped is a memory slot of the guest, but for the pages with the MSI-X table and its
pending bits, which are ours. What is left traps and goes through VFIO. A memory register smaller
than a page has a whole one in the guest if the host gives it one, so that it can be mapped too.
"""

from __future__ import annotations

from vmm import layout
from vmm.errors import HostError
from vmm.native import check, ffi, lib
from vmm.pci.bar import Bar, Direct, Piece

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.cdevice import CDevice
    from vmm.memory import GuestMemory
    from vmm.vfio.device import PciDevice
    from vmm.vfio.region import Mapping, Region

IO, WIDE, KIND, PREFETCHABLE = 0x1, 0x4, 0x6, 0x8  # bits of a base address register
ROM = 6

Span = tuple[int, int]  # offset, length


class GuestBars:
    """The registers of one device. `emulated` are the pieces that are ours, by register."""

    def __init__(
        self,
        device: PciDevice,
        core: CDevice,
        memory: GuestMemory,
        emulated: dict[int, list[Piece]],
    ) -> None:
        self._device, self._core, self._memory = device, core, memory
        self._emulated = emulated
        self._slots: list[int] = []
        self._shown: set[int] = set()  # of the slots, those that KVM has
        try:
            self.bars = self._make()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """None of them is on a bus any more."""
        while self._slots:
            slot = self._slots.pop()
            if slot not in self._shown:  # where KVM kept it, nobody else can use the number
                self._memory.give_slot(slot)

    def _make(self) -> list[Bar]:
        found: list[Bar] = []
        for number in range(ROM):
            region = self._device.regions.get(f"bar{number}")
            if region is not None:
                found.append(self._bar(number, region))
        rom = self._device.regions.get("rom")
        if rom is not None:
            size = max(1 << (rom.size - 1).bit_length(), 2048)
            pieces = self._trapped(rom, [])
            found.append(Bar(number=ROM, kind="rom", size=size, pieces=pieces))
        return found

    def _bar(self, number: int, region: Region) -> Bar:
        flags = self._flags(number)
        io = bool(flags & IO)
        size = 1 << (region.size - 1).bit_length()
        if not io and region.info.areas:
            size = max(size, layout.PAGE)  # VFIO maps a smaller one if it has its page for itself
        ours = sorted(self._emulated.get(number, []), key=lambda piece: piece.offset)
        if any(piece.offset + piece.length > size for piece in ours):
            raise HostError(
                f"{self._device.address} says that its MSI-X table or pending bits lie outside of "
                f"BAR {number}, which has {size:#x} bytes; such a device cannot be passed through"
            )
        return Bar(
            number=number,
            kind="io" if io else "mem64" if flags & KIND == WIDE else "mem32",
            size=size,
            pieces=(*ours, *self._trapped(region, ours)),
            direct=() if io else self._direct(region, ours),
            prefetchable=not io and bool(flags & PREFETCHABLE),
        )

    def _flags(self, number: int) -> int:
        try:
            return self._device.config.read(0x10 + 4 * number, 4)
        except OSError as error:
            raise HostError(
                f"Reading BAR {number} of {self._device.address} failed: {error.strerror}; the "
                "device does not answer, `dmesg` may tell why"
            ) from error

    def _map(self, region: Region, number: int) -> Mapping:
        try:
            return region.map(number)
        except OSError as error:
            raise HostError(
                f"Mapping {region.name} of {self._device.address} failed: {error.strerror}; see "
                "in /proc/iomem who has its addresses: a framebuffer of the firmware may have them"
            ) from error

    def _trapped(self, region: Region, ours: list[Piece]) -> tuple[Piece, ...]:
        pieces = []
        dev = ffi.addressof(self._core.pointer, "dev")
        for offset, length in outside([(0, region.size)], [(p.offset, p.length) for p in ours]):
            window = lib.vfiopci_window(self._core.pointer, region.info.offset + offset)
            check(window, "vfiopci_window", f"{self._device.address}: {region.name}")
            pieces.append(
                Piece(offset=offset, length=length, dev=dev, region=window, keep=self._core)
            )
        return tuple(pieces)

    def _direct(self, region: Region, ours: list[Piece]) -> tuple[Direct, ...]:
        pages = [whole_pages(piece.offset, piece.length) for piece in ours]
        parts = []
        for number, (start, length) in enumerate(region.info.areas):
            if region.size < layout.PAGE:
                length = layout.PAGE
            free = outside([(start, length)], pages)
            spans = [span for span in map(inner_pages, free) if span[1] > 0]
            mapping = self._map(region, number) if spans else None
            for offset, size in spans:
                assert mapping is not None
                self._slots.append(self._memory.take_slot())
                parts.append(
                    Direct(
                        offset=offset,
                        length=size,
                        address=mapping.address + offset - start,
                        slot=self._slots[-1],
                        shown=self._shown,
                    )
                )
        return tuple(parts)


def whole_pages(offset: int, length: int) -> Span:
    """The pages that a range touches."""
    first = offset // layout.PAGE * layout.PAGE
    return first, -(-(offset + length) // layout.PAGE) * layout.PAGE - first


def inner_pages(span: Span) -> Span:
    """The pages that lie within a range; of length 0 or less if there are none."""
    first = -(-span[0] // layout.PAGE) * layout.PAGE
    return first, (span[0] + span[1]) // layout.PAGE * layout.PAGE - first


def outside(spans: list[Span], holes: list[Span]) -> list[Span]:
    """What of the spans is in none of the holes, ascending."""
    for start, length in holes:
        left: list[Span] = []
        for first, size in spans:
            before, after = min(start, first + size), max(start + length, first)
            left += [(first, before - first), (after, first + size - after)]
        spans = [span for span in left if span[1] > 0]
    return sorted(spans)
