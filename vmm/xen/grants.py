"""The grant table as the guest arranges it: how many frames it has, and where they lie.

What a grant permits is decided in C (core/xen/gnttab.h), by whoever uses one.
"""

from __future__ import annotations

from struct import pack

from vmm.native import ffi, lib, made
from vmm.xen import abi
from vmm.xen.abi import XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.memory import GuestMemory
    from vmm.xen.overlay import Overlay

FRAMES_MAX = int(lib.GNTTAB_FRAMES)
GTF_permit_access = 1


class GrantTable:
    """Context: the domain's lock. `pointer` is the `struct gnttab *` for back-ends."""

    def __init__(self, memory: GuestMemory, overlay: Overlay) -> None:
        self._memory = memory.accessor("xen grants")
        self._overlay = overlay
        self.pointer = made(
            lib.gnttab_create(memory.pointer), lib.gnttab_destroy, "the grant table", memory
        )
        self.granted: dict[int, int] = {}  # reference -> page number, for domain 0 from the start
        self.reset()

    def reset(self) -> None:
        """No frame lies anywhere. Nobody has a grant mapped."""
        self.places: list[int | None] = [None]
        lib.gnttab_reset(self.pointer)

    def grow(self, count: int) -> bool:
        """Makes it `count` frames long, unless it is longer. False: that many there cannot be."""
        if count > FRAMES_MAX:
            return False
        self.places += [None] * (count - len(self.places))
        return True

    def place(self, index: int, gpa: int) -> None:
        """Frame `index` lies at `gpa` from here on, with what it contained."""
        if not self.grow(index + 1):
            raise XenError(abi.EINVAL)
        old, size = self.places[index], abi.PAGE
        behind = (FRAMES_MAX - index - 1) * size
        self._overlay.back(gpa, before=index * size, after=behind)
        try:
            if old != gpa:
                page = self._first(index) if old is None else self._memory.read(old, size)
                self._memory.write(gpa, page)
        except ValueError:
            raise XenError(abi.EINVAL) from None
        self.places[index] = gpa
        lib.gnttab_place(self.pointer, index, gpa)

    def _first(self, index: int) -> bytes:
        """What a frame contains at first."""
        page = bytearray(abi.PAGE)
        for ref, number in self.granted.items():
            if ref // lib.GNTTAB_PER_FRAME == index:
                at = ref % lib.GNTTAB_PER_FRAME * 8
                page[at : at + 8] = pack("<HHI", GTF_permit_access, abi.DOMID_BACKEND, number)
        return bytes(page)

    def counters(self) -> dict[str, int]:
        """Grants mapped now, and how often one was mapped or refused."""
        counters = ffi.new("struct gnttab_counters *")
        lib.gnttab_counters(self.pointer, counters)
        return {f"grants_{name}": int(getattr(counters, name)) for name in dir(counters)}
