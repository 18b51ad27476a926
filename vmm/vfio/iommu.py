"""What both kernel interfaces have in common: devices opened, memory mapped for their DMA."""

from __future__ import annotations

from vmm.errors import HostError, VfioError
from vmm.vfio.check import MARGIN, locked_memory_limit, raise_limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vmm.vfio.devicefd import DeviceFd
    from vmm.vfio.sysfs import Function

    Range = tuple[int, int]  # first and last address

ENOMEM, EFAULT, EEXIST = 12, 14, 17
ADDRESS_BITS = 39  # what every IOMMU translates; the range where the kernel tells none


class Iommu:
    """One address space for DMA and the devices in it. Addresses and sizes are in bytes."""

    name = ""

    def __init__(self) -> None:
        self.mapped: dict[int, int] = {}  # base -> size
        # Told of each descriptor of a group, or of a device without groups, as long as it is open:
        # KVM wants to know.
        self.on_open: Callable[[int], None] = lambda _fd: None
        self.on_close: Callable[[int], None] = lambda _fd: None

    def open(self, one: Function) -> DeviceFd:
        """The device, in this address space. HostError or VfioError says why not."""
        raise NotImplementedError

    def leave(self, one: Function, device: DeviceFd) -> None:
        """Closes the device: the host may have it back, unless others of its group are open."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def ranges(self) -> tuple[Range, ...]:
        """Where devices can reach memory, ascending: all but what is reserved (MSI, firmware)."""
        return ((0, (1 << ADDRESS_BITS) - 1),)

    def page_size(self) -> int:
        """The smallest unit of a mapping."""
        raise NotImplementedError

    def reset_tokens(self) -> list[int]:
        """Descriptors that prove to a hot reset whose devices these are."""
        raise NotImplementedError

    def owned_groups(self) -> tuple[int, ...]:
        """Numbers of the groups that are in this address space, where groups count."""
        return ()

    def _map(self, iova: int, address: int, size: int, writable: bool) -> None:
        raise NotImplementedError

    def _unmap(self, iova: int, size: int) -> None:
        raise NotImplementedError

    def map(self, iova: int, address: int, size: int, writable: bool = True) -> None:
        """The device sees the memory at `address` of this process at `iova` from now on.

        All three are multiples of page_size(). HostError for what cannot be mapped, or not there.
        """
        what = f"Mapping {size:#x} bytes for DMA at {iova:#x} failed"
        page = self.page_size()
        if size <= 0 or (iova | address | size) % page:
            raise HostError(f"{what}: addresses and size must be multiples of {page:#x}")
        if not any(first <= iova and iova + size - 1 <= last for first, last in self.ranges()):
            spans = ", ".join(f"{first:#x} to {last:#x}" for first, last in self.ranges())
            raise HostError(f"{what}: devices here reach {spans} only, the rest is reserved")
        try:
            self._map(iova, address, size, writable)
        except VfioError as error:
            raise self._refused(what, size, error) from error
        self.mapped[iova] = size

    def _refused(self, what: str, size: int, error: VfioError) -> HostError | VfioError:
        if error.errno == EEXIST:
            return HostError(f"{what}: a part of that is mapped already; unmap it first")
        if error.errno == EFAULT:
            return HostError(f"{what}: there is no such memory in this process")
        if error.errno != ENOMEM:
            return error
        limit = locked_memory_limit()
        if limit is None:
            return HostError(f"{what}: no memory, or more mappings than dma_entry_limit allows")
        need = sum(self.mapped.values()) + size + MARGIN
        return HostError(f"{what}: {limit:,} bytes may be locked; {raise_limit(need)}")

    def unmap(self, iova: int) -> None:
        """Takes one mapping back: the one that begins at `iova`. HostError if there is none."""
        if iova not in self.mapped:
            raise HostError(f"Nothing is mapped for DMA at {iova:#x}")
        self._unmap(iova, self.mapped[iova])
        del self.mapped[iova]

    def free_place(self, size: int, below: int) -> int:
        """The lowest free `size` bytes that end at or below `below`. HostError if there are none.

        Address 0 stays free: some devices take it for "none".
        """
        page = self.page_size()
        for first, last in self.ranges():
            at = max(-(-first // page) * page, page)
            for base, length in sorted(self.mapped.items()):
                if at + size <= base:
                    break
                at = max(at, base + length)
            if at + size - 1 <= last and at + size <= below:
                return at
        raise HostError(f"No {size:#x} bytes are left for DMA below {below:#x}")
