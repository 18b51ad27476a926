"""Pages that the domain shares with the hypervisor and that lie outside the guest's RAM.

The guest says where it wants its grant table: a driver takes addresses in the platform device's
register, where nothing is. Memory of ours appears there then, and stays to the machine's end: KVM
makes a change of its slots wait for every vCPU, and one that polls for a spinlock may wait for the
vCPU that asked. A table is therefore given room for all it can become at once.
"""

from __future__ import annotations

from vmm import layout
from vmm.errors import VmmError
from vmm.native import PyDevice
from vmm.xen import abi
from vmm.xen.abi import XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.bus import Bus
    from vmm.memory import GuestMemory

PLACES_MAX = 8  # stretches of pages; a guest needs one
# Where KVM may answer by itself, of which the bus knows nothing: local APICs take a whole MiB.
CHIPS = ((layout.IOAPIC, abi.PAGE), (layout.LAPIC, layout.MIB))


class _Nothing:
    """Keeps other devices from where our pages are; KVM never asks it."""

    def read(self, region: int, offset: int, size: int) -> int:
        return (1 << 64) - 1

    def write(self, region: int, offset: int, size: int, value: int) -> None:
        pass


class Overlay:
    """Context: the domain's lock, or before the machine runs."""

    def __init__(self, memory: GuestMemory, mmio: Bus) -> None:
        self._memory, self._mmio = memory, mmio
        self._taken: list[tuple[int, int]] = []  # (base, length)
        self._nothing = PyDevice(_Nothing())
        self.add(layout.XEN_PAGES, layout.XEN_PAGES_SIZE)

    def _has(self, gpa: int) -> bool:
        ranges = (*self._memory.ranges(), *self._taken)
        return any(base <= gpa < base + length for base, length in ranges)

    def back(self, gpa: int, *, before: int = 0, after: int = 0) -> None:
        """Sees to it that there is memory in the page at `gpa`.

        before, after: bytes around it that will be wanted too. EINVAL where something else answers,
        ENOMEM for one place too many.
        """
        if self._has(gpa):
            return
        if len(self._taken) >= PLACES_MAX:
            raise XenError(abi.ENOMEM)
        try:
            self.add(gpa - before, before + abi.PAGE + after)
        except (VmmError, OSError, OverflowError):
            try:
                self.add(gpa, abi.PAGE)
            except (VmmError, OSError, OverflowError):
                raise XenError(abi.EINVAL) from None

    def add(self, base: int, length: int) -> None:
        """Memory of ours at a place. VmmError if it is taken."""
        if base < 0:
            raise VmmError("there is no memory below 0")
        if any(base < chip + size and chip < base + length for chip, size in CHIPS):
            raise VmmError(f"an interrupt controller is at {base:#x}")
        self._mmio.claim(base, length, self._nothing.dev, "xen", keep=self._nothing)
        try:
            self._memory.add_pages(base, length)
        except BaseException:
            self._mmio.release(base, length)
            raise
        self._taken.append((base, length))

    def close(self) -> None:
        while self._taken:
            self._mmio.release(*self._taken.pop())
        self._mmio.quiesce()
