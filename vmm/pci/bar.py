"""Base address registers: what answers in one, and where it answers now."""

from __future__ import annotations

from vmm.bus import Bus
from vmm.doorbell import Doorbell
from vmm.errors import VmmError
from vmm.native import ffi, lib
from vmm.record import Record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KINDS = {
    "io": lib.PCI_BAR_IO,
    "mem32": lib.PCI_BAR_MEM32,
    "mem64": lib.PCI_BAR_MEM64,
    "rom": lib.PCI_BAR_EXPANSION,
}


class Piece(Record):
    """A part of a BAR in which `dev` (a `struct dev *`) answers as its `region`."""

    offset: int
    length: int
    dev: Any
    region: int = 0
    keep: object = None  # lives as long as the device may be reached


class Direct(Record):
    """A part of a memory BAR that the guest reaches without an exit, at `address` of this process.

    `slot` is a KVM memory slot of its own; it is in `shown` while KVM has it. Pieces answer where
    KVM does not take it.
    """

    offset: int
    length: int
    address: int
    slot: int
    shown: set[int]

    def attach(self, core: Any, base: int) -> None:
        """`core`: the VM's `struct vmcore *`, or `None` where there is none."""
        if self._set(core, base + self.offset, self.length):
            self.shown.add(self.slot)

    def detach(self, core: Any) -> None:
        if self._set(core, 0, 0):
            self.shown.discard(self.slot)

    def _set(self, core: Any, gpa: int, size: int) -> bool:
        fields = {
            "slot": self.slot,
            "guest_phys_addr": gpa,
            "memory_size": size,
            "userspace_addr": self.address,
        }
        argument = ffi.new("struct kvm_userspace_memory_region *", fields)
        request = lib.KVM_SET_USER_MEMORY_REGION
        return core is not None and lib.vmcore_ioctl(core, request, argument) == 0


class Bar(Record):
    """A base address register. What no piece covers reads as ones and forgets what is written.

    size: a power of two. A "mem64" register takes the next number too; "rom" has number 6. The
    addresses of `doorbells` count from the start of the register's range; their space is its.
    """

    number: int
    kind: str  # one of KINDS
    size: int
    pieces: tuple[Piece, ...] = ()
    direct: tuple[Direct, ...] = ()
    doorbells: tuple[Doorbell, ...] = ()
    prefetchable: bool = False

    @property
    def space(self) -> str:
        return "pio" if self.kind == "io" else "mmio"


class Mapping:
    """Where a BAR answers. Context: the topology lock of its root (vmm/pci/root.py)."""

    def __init__(self, bar: Bar, owner: str) -> None:
        self.bar = bar
        self.owner = f"{owner} (BAR {bar.number})"
        self.base: int | None = None  # where it answers
        self.wanted: int | None = None  # where the guest wants it
        self.refused: int | None = None  # ... and could not have it, when last tried
        self.given: int | None = None  # the place we keep free for it
        self._bells: list[Doorbell] = []

    def overlaps(self, base: int, size: int) -> bool:
        return (
            self.base is not None and base < self.base + self.bar.size and self.base < base + size
        )

    def place(self, bus: Bus, core: Any, base: int) -> None:
        """Makes it answer at `base`, from now on or instead of where it did.

        VmmError if another device answers in a part of that range: then it is where it was.
        """
        done: list[Piece] = []
        try:
            for piece in self.bar.pieces:
                self._place_piece(bus, piece, self.base, base)
                done.append(piece)
        except VmmError:
            for piece in reversed(done):
                self._take_back(bus, piece, base)
            raise
        self._ring_at(core, base)
        self._show_at(core, base)
        self.base = base

    def _place_piece(self, bus: Bus, piece: Piece, old: int | None, new: int) -> None:
        if old is None:
            at = new + piece.offset
            bus.claim(at, piece.length, piece.dev, self.owner, piece.region, piece.keep)
        else:
            bus.move(old + piece.offset, piece.length, new + piece.offset, self.owner)

    def _take_back(self, bus: Bus, piece: Piece, new: int) -> None:
        if self.base is None:
            bus.release(new + piece.offset, piece.length)
        else:
            self._place_piece(bus, piece, new, self.base)

    def _ring_at(self, core: Any, base: int | None) -> None:
        """Moves the doorbells: at no time does one ring at neither place."""
        old, self._bells = self._bells, []
        if base is not None:
            for bell in self.bar.doorbells:
                moved = replace(bell, address=base + bell.address, space=self.bar.space)
                if moved.attach(core):
                    self._bells.append(moved)
        for bell in old:
            bell.detach(core)

    def _show_at(self, core: Any, base: int | None) -> None:
        """Moves what the guest reaches directly; accesses meanwhile go to the pieces."""
        for part in self.bar.direct:
            if self.base is not None:
                part.detach(core)
            if base is not None:
                part.attach(core, base)

    def remove(self, bus: Bus, core: Any) -> None:
        """It answers nowhere. Accesses under way may still reach it: see Bus.quiesce()."""
        if self.base is None:
            return
        self._ring_at(core, None)
        self._show_at(core, None)
        for piece in self.bar.pieces:
            bus.release(self.base + piece.offset, piece.length)
        self.base = None
