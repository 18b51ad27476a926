"""Guest memory: its regions (vmm/region.py), their KVM slots, and bounds-checked access.

Access from here goes through the one C function, gmem_at(). Python code that is not hot uses
`GuestMemory`; a device gets an `accessor()` of its own, so that its accesses are counted, and can
be windowed, apart from everybody else's.
"""

from __future__ import annotations

import os

from vmm import layout
from vmm.errors import ConfigError, HostError
from vmm.hugepages import HUGE_PAGE, Watch, policy
from vmm.native import check, ffi, lib, made
from vmm.region import Region

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from vmm.kvm.vm import Vm

    class Follower(Protocol):
        """Who gives guest RAM to somebody else, such as a device's IOMMU, for as long as it is."""

        def ram_added(self, region: Region) -> None: ...


MAX_PIECES = 8


class Accessor:
    """Guest memory as one device may use it: counted, and refused outside RAM with ValueError."""

    def __init__(self, memory: GuestMemory, name: str) -> None:
        self.memory, self.name = memory, name
        self.dev = ffi.new("struct gmem_dev *")

    def _check(self, result: int, what: str, gpa: int, length: int) -> int:
        if result < 0:
            raise ValueError(
                f"{self.name}: {what} of {length} bytes at {gpa:#x}: {os.strerror(-result)}"
            )
        return result

    def read(self, gpa: int, length: int) -> bytes:
        buffer = bytearray(min(length, self.memory.size))
        result = (
            lib.gmem_read(self.memory.pointer, self.dev, gpa, ffi.from_buffer(buffer), length)
            if len(buffer) == length
            else -14
        )
        self._check(result, "read", gpa, length)
        return bytes(buffer)

    def write(self, gpa: int, data: bytes | bytearray | memoryview) -> None:
        result = lib.gmem_write(
            self.memory.pointer, self.dev, gpa, ffi.from_buffer(data), len(data)
        )
        self._check(result, "write", gpa, len(data))

    def zero(self, gpa: int, length: int) -> None:
        """Zeroes the range; RAM that nobody has used yet is zero already and stays untouched."""
        if self.memory.fresh:
            pieces = ffi.new("struct gmem_piece[]", MAX_PIECES)
            result = lib.gmem_at(
                self.memory.pointer, self.dev, gpa, length, lib.GMEM_WRITE, pieces, MAX_PIECES
            )
        else:
            result = lib.gmem_zero(self.memory.pointer, self.dev, gpa, length)
        self._check(result, "zeroing", gpa, length)

    def load_file(self, gpa: int, fd: int, offset: int, length: int) -> None:
        """Reads a file's bytes straight into guest memory; OSError if the file ends early."""
        result = lib.gmem_pread(self.memory.pointer, self.dev, gpa, fd, offset, length)
        if result in (-5, -9, -21):  # EIO, EBADF, EISDIR: the file's fault, not the address's
            raise OSError(-result, os.strerror(-result))
        self._check(result, "loading a file", gpa, length)

    def view(self, gpa: int, length: int, *, write: bool = False) -> list[memoryview]:
        """The range as memoryviews, one per region it touches. Valid until the map changes."""
        pieces = ffi.new("struct gmem_piece[]", MAX_PIECES)
        direction = lib.GMEM_WRITE if write else lib.GMEM_READ
        count = lib.gmem_at(
            self.memory.pointer, self.dev, gpa, length, direction, pieces, MAX_PIECES
        )
        self._check(count, "view", gpa, length)
        views = [memoryview(ffi.buffer(p.hva, p.len)).cast("B") for p in pieces[0:count]]
        return views if write else [view.toreadonly() for view in views]

    def counts(self) -> dict[str, int]:
        counts = ffi.new("struct gmem_counts *")
        lib.gmem_counts(self.dev, counts)
        return {"reads": counts.reads, "writes": counts.writes, "denied": counts.denied}


class GuestMemory(Accessor):
    """All of a guest's RAM. As an accessor it speaks for the VMM itself (the boot loader)."""

    def __init__(self, size: int, backing: str = "auto", prealloc: bool = False) -> None:
        self.size = size
        self.backing = backing
        self.fresh = True  # no byte was written by a guest yet
        self.pointer = made(lib.gmem_create(), lib.gmem_destroy, "the memory map")
        super().__init__(self, "vmm")
        self.regions: list[Region] = []
        self.extra: list[Region] = []  # see add_pages()
        self._vm: Vm | None = None
        self._collapses = backing == "auto" and policy() == "never"
        self._watch: Watch | None = None
        self._watched = False
        self._abandoned = False
        self._first = 0
        self._free_slots: list[int] = []  # below _next_slot
        self._next_slot = 0
        self.followers: list[Follower] = []
        try:
            for gpa, length in layout.ram_ranges(size):
                self.add_ram(gpa, length)
        except BaseException:
            self.close()
            raise
        if prealloc:
            self._prealloc()

    @property
    def generation(self) -> int:
        """Grows with every change of the map; cached translations of an older one are void."""
        return int(lib.gmem_generation(self.pointer))

    def add_ram(self, gpa: int, size: int) -> Region:
        if self.backing == "hugetlb" and size % HUGE_PAGE:
            raise ConfigError(
                f"--mem-backing hugetlb needs memory in multiples of 2 MiB, not {size >> 10} KiB"
            )
        region = Region(gpa, size, self.backing, slot=self.take_slot())
        self.regions.append(region)
        hva = ffi.cast("void *", region.hva)
        check(lib.gmem_add(self.pointer, gpa, size, hva, 0), "gmem_add", f"{gpa:#x}")
        if self._vm is not None:
            self._vm.set_memory_region(region.slot, gpa, size, region.hva)
        for follower in self.followers:
            follower.ram_added(region)
        return region

    def add_pages(self, gpa: int, size: int) -> None:
        """Memory that the guest is not told of as RAM: pages that a hypervisor shares with it.

        Neither saved nor given out with `ranges()`; it stays to the end. KvmError where something
        of KVM's lies or memory is.
        """
        slot = self.take_slot()
        try:
            region = Region(gpa, size, "4k", slot=slot)
            try:
                self._share(region)
            except BaseException:
                region.close()
                raise
        except BaseException:
            self.give_slot(slot)
            raise
        self.extra.append(region)

    def _share(self, region: Region) -> None:
        """All of it or nothing: KVM's slot, and the map here."""
        gpa, size = region.gpa, region.size
        if self._vm is not None:
            self._vm.set_memory_region(region.slot, gpa, size, region.hva)
        try:
            hva = ffi.cast("void *", region.hva)
            check(lib.gmem_add(self.pointer, gpa, size, hva, 0), "gmem_add", f"{gpa:#x}")
        except BaseException:
            if self._vm is not None:
                self._vm.set_memory_region(region.slot, gpa, 0, region.hva)
            raise

    def take_slot(self) -> int:
        """A number for a KVM memory slot that nobody else has."""
        if self._free_slots:
            return self._free_slots.pop()
        self._next_slot += 1
        return self._next_slot - 1

    def give_slot(self, slot: int) -> None:
        """The slot is deleted; its number is free."""
        self._free_slots.append(slot)

    def follow(self, follower: Follower) -> None:
        """Tells the follower every region there is and that comes.

        Until unfollow() pages stay where they are: while there are `followers`, nobody may discard
        guest RAM, merge it or put other pages under it.
        """
        if not self.followers:
            self._stop_watch()
            for region in self.regions:
                self.huge(region.gpa, region.size)
        for region in self.regions:
            follower.ram_added(region)
        self.followers.append(follower)

    def unfollow(self, follower: Follower) -> None:
        self.followers.remove(follower)
        if self._watched and not self.followers:
            self.watch()

    def discard(self, gpa: int, length: int) -> None:
        """Gives whole pages of RAM back to the host; they read as zeroes from then on.

        The only way by which RAM goes back. HostError where its kind of memory cannot, or while
        somebody follows the regions.
        """
        if self.followers:
            raise HostError("Guest memory cannot be given back while a device of the host uses it")
        for region in self.regions:
            if region.gpa <= gpa and gpa + length <= region.gpa + region.size:
                return region.discard(gpa - region.gpa, length)
        raise ValueError(f"discard of {length} bytes at {gpa:#x}: no RAM")

    def attach(self, vm: Vm) -> None:
        """Gives every region to KVM as a memory slot."""
        self._vm = vm
        for region in self.regions:
            vm.set_memory_region(region.slot, region.gpa, region.size, region.hva)

    def ranges(self) -> list[tuple[int, int]]:
        """(base, length) of RAM, ascending."""
        return sorted((region.gpa, region.size) for region in self.regions)

    def accessor(self, name: str) -> Accessor:
        """Guest memory for one device."""
        return Accessor(self, name)

    def huge(self, gpa: int, length: int) -> None:
        """Puts huge pages under a range that is about to be filled, where policy would not.

        Nothing while somebody follows: pages stay where they are.
        """
        if not self.followers:
            self._collapse(gpa, length)

    def _collapse(self, gpa: int, length: int) -> None:
        for region in self.regions if self._collapses else ():
            first, last = max(gpa, region.gpa), min(gpa + length, region.gpa + region.size)
            if first < last:
                region.collapse(first - region.gpa, last - first)

    def huge_on_fill(self, length: int) -> None:
        """The same for `length` bytes that a guest fills first, at a place only it knows."""
        self._first = length

    def watch(self) -> None:
        """From now on the same for what a guest fills, which is about to run. Ends with close()."""
        self._watched = True
        if self._collapses and self._watch is None and not self.followers:
            self._watch = Watch(self.regions, self._first)
            self._watch.start()

    def remap(self, gpa: int) -> None:
        """Takes the slot that holds `gpa` away from the guest and gives it back (pc-testdev)."""
        for region in self.regions:
            if region.gpa <= gpa < region.gpa + region.size and self._vm is not None:
                self._vm.set_memory_region(region.slot, region.gpa, 0, region.hva)
                self._vm.set_memory_region(region.slot, region.gpa, region.size, region.hva)

    def _prealloc(self) -> None:
        for region in self.regions:
            region.populate()

    def abandon(self) -> None:
        """Somebody still writes there, and nobody waits for it: mappings outlive `close()`."""
        self._abandoned = True

    def _stop_watch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()

    def close(self) -> None:
        self._watched = False
        self._stop_watch()
        for region in (*self.regions, *self.extra):
            region.close(unmap=not self._abandoned)
        self.regions.clear()
        self.extra.clear()
