"""A PCI function opened through VFIO: regions and interrupts by name, memory for DMA, resets."""

from __future__ import annotations

from vmm.closing import close_all
from vmm.errors import HostError, VfioError
from vmm.native import ffi, lib
from vmm.vfio.interrupt import Interrupt
from vmm.vfio.region import Region, region_info

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.vfio.devicefd import Affected
    from vmm.vfio.iommu import Iommu
    from vmm.vfio.sysfs import Function

COMMAND = 0x04  # in configuration space
COMMAND_MASTER = 0x4  # the function may do DMA
ANYWHERE = 1 << 64
NO_RESET = (25, 22)  # ENOTTY, EINVAL


class DmaMemory:
    """Memory that this process and the device see: here as `view`, there at address `iova`."""

    def __init__(self, iommu: Iommu, size: int, iova: int | None, below: int) -> None:
        from mmap import mmap

        if size <= 0:
            raise HostError(f"{size} bytes for DMA are none: say at least 1")
        page = iommu.page_size()
        self.size = -(-size // page) * page
        self.iova = iommu.free_place(self.size, below) if iova is None else iova
        self._iommu = iommu
        try:
            self._map: Any = mmap(-1, self.size)
        except (OSError, OverflowError) as error:
            raise HostError(f"This host has no {self.size:,} bytes of memory for DMA") from error
        self._pointer: Any = ffi.from_buffer(self._map)
        self.view = memoryview(self._map)
        try:
            iommu.map(self.iova, int(ffi.cast("uintptr_t", self._pointer)), self.size)
        except BaseException:
            self._free()
            raise

    def close(self) -> None:
        """The device cannot reach it any more, then it is gone. May be repeated.

        Of what was sliced from `view`, the memory stays here as long as that is kept.
        """
        if self._map is not None:
            self._iommu.unmap(self.iova)
            self._free()

    def _free(self) -> None:
        from contextlib import suppress

        mapped, self._map = self._map, None
        ffi.release(self._pointer)
        for let_go in (self.view.release, mapped.close):
            with suppress(BufferError):  # a part is in use, and keeps the memory
                let_go()


class PciDevice:
    """One function. Whatever was made through it is closed with it, interrupts first."""

    def __init__(self, one: Function, iommu: Iommu) -> None:
        self.function = one
        self.address = one.address
        self.iommu = iommu
        self.fd = iommu.open(one)
        self._memory: list[DmaMemory] = []
        try:
            info = self.fd.info().struct
            self.resettable = bool(info.flags & lib.VFIO_DEVICE_FLAGS_RESET)
            self.regions = self._regions(info.num_regions)
            self.interrupts = self._interrupts(info.num_irqs)
        except BaseException:
            iommu.leave(one, self.fd)
            raise

    def _regions(self, count: int) -> dict[str, Region]:
        found: dict[str, Region] = {}
        for index in range(count):
            try:
                info = region_info(self.fd.region_info(index))
            except VfioError:
                continue  # this kind of device has none of that number
            if info is not None:
                found[info.name] = Region(self.fd.fd, info)
        return found

    def _interrupts(self, count: int) -> dict[str, Interrupt]:
        found: dict[str, Interrupt] = {}
        for index in range(count):
            try:
                info = self.fd.irq_info(index).struct
            except VfioError:
                continue
            if info.count and info.flags & lib.VFIO_IRQ_INFO_EVENTFD:
                one = Interrupt(self.fd, index, info.count, info.flags)
                found[one.name] = one
        return found

    def close(self) -> None:
        """Gives the device back to the kernel, which resets it if it can. May be repeated."""
        if self.fd.fd.number < 0:
            return
        closers = [one.disable for one in self.interrupts.values()]
        closers += [region.close for region in self.regions.values()]
        if "config" in self.regions:
            closers.append(lambda: self.set_bus_master(False))
        closers += [memory.close for memory in self._memory]
        close_all([*closers, lambda: self.iommu.leave(self.function, self.fd)])

    # --- what a driver does

    @property
    def config(self) -> Region:
        """Configuration space."""
        return self.regions["config"]

    def set_bus_master(self, on: bool) -> None:
        """Whether the function may do DMA. It may not when it was opened."""
        command = self.config.read(COMMAND, 2)
        wanted = command | COMMAND_MASTER if on else command & ~COMMAND_MASTER
        if wanted != command:
            self.config.write(COMMAND, 2, wanted)

    def dma(self, size: int, iova: int | None = None, below: int = ANYWHERE) -> DmaMemory:
        """Memory for DMA, whole pages of zeros.

        iova: where the device shall see it, else at the lowest free place. below: the first address
        that the device cannot reach. HostError says why there is none.
        """
        memory = DmaMemory(self.iommu, size, iova, below)
        self._memory.append(memory)
        return memory

    # --- resets

    def reset(self) -> None:
        """This function alone. HostError if it has no such reset."""
        try:
            self.fd.reset()
        except VfioError as error:
            if error.errno not in NO_RESET:
                raise
            found = self.hot_reset_set()
            advice = f"`vmm vfio reset --hot {self.address}` resets its whole bus"
            if not found or not all(one.owned for one in found):
                advice = "there is no reset of its bus either"
                if found:
                    others = ", ".join(one.address for one in found if not one.owned)
                    advice = f"a reset of its bus would take {others} along"
            raise HostError(
                f"{self.address} cannot be reset alone: {error.strerror}; {advice}"
            ) from error

    def hot_reset_set(self) -> list[Affected]:
        """What hot_reset() resets; empty if there is no such reset here."""
        try:
            return self.fd.hot_reset_info(self.iommu.owned_groups())
        except VfioError:
            return []

    def resettable_bus(self) -> list[Affected]:
        """hot_reset_set(), or a HostError that says why hot_reset() would fail."""
        found = self.hot_reset_set()
        strange = [one.address for one in found if not one.owned]
        if not found or strange:
            why = f"that would reset {', '.join(strange)} too" if strange else "no bus reset here"
            raise HostError(f"Resetting the bus of {self.address} failed: {why}")
        return found

    def hot_reset(self) -> list[Affected]:
        """The bus or slot that the function is on. HostError unless all of that is this process's.

        Returns what was reset.
        """
        found = self.resettable_bus()
        self.fd.pci_hot_reset(self.iommu.reset_tokens())
        return found
