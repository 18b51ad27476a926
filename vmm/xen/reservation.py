"""The domain's RAM as it may give it back and take it again: a balloon driver's calls.

Pages that were given back are holes: the host has their memory, and the guest has promised not to
touch them. One that does finds zeroes, and has memory there again; it can never have more than the
machine was given.
"""

from __future__ import annotations

from vmm.errors import HostError
from vmm.xen import abi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.memory import GuestMemory


class Reservation:
    """Context: the domain's lock. Pages are guest-physical frame numbers."""

    def __init__(self, memory: GuestMemory) -> None:
        self._memory = memory
        self.total = memory.size // abi.PAGE
        self.reset()

    def reset(self) -> None:
        self.given_back = 0
        # One bit for each page of a region, by its first frame; made when it is needed.
        self._holes: dict[int, bytearray] = {}

    @property
    def top(self) -> int:
        """The highest frame that is RAM."""
        base, length = self._memory.ranges()[-1]
        return (base + length) // abi.PAGE - 1

    def _region(self, frame: int, count: int) -> tuple[int, int] | None:
        """(first frame, pages) of the region that holds them all."""
        for base, length in self._memory.ranges():
            first, pages = base // abi.PAGE, length // abi.PAGE
            if first <= frame and frame + count <= first + pages:
                return first, pages
        return None

    def is_ram(self, frame: int) -> bool:
        """RAM, and no hole."""
        return self._are(frame, 1, hole=False)

    def _are(self, frame: int, count: int, *, hole: bool) -> bool:
        region = self._region(frame, count)
        if region is None:
            return False
        first, _pages = region
        bits = self._holes.get(first)
        if bits is None:
            return not hole
        places = range(frame - first, frame - first + count)
        return all(bool(bits[n >> 3] >> (n & 7) & 1) == hole for n in places)

    def _mark(self, frame: int, count: int) -> None:
        """Holes become RAM and RAM becomes holes."""
        region = self._region(frame, count)
        assert region is not None
        first, pages = region
        bits = self._holes.setdefault(first, bytearray(-(-pages // 8)))
        for n in range(frame - first, frame - first + count):
            bits[n >> 3] ^= 1 << (n & 7)

    def give(self, frame: int, count: int) -> bool:
        """The host takes these pages. False unless all of them are RAM and no holes."""
        if not self._are(frame, count, hole=False):
            return False
        try:
            self._memory.discard(frame * abi.PAGE, count * abi.PAGE)
        except HostError:
            return False
        self._mark(frame, count)
        self.given_back += count
        return True

    def take(self, frame: int, count: int) -> bool:
        """These holes are RAM again, zeroed. False unless all of them are holes."""
        if not self._are(frame, count, hole=True):
            return False
        self._mark(frame, count)
        self.given_back -= count
        return True
