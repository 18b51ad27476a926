"""Puts pieces into guest memory: each one must be RAM and must not overlap another."""

from __future__ import annotations

from vmm.boot.records import Piece
from vmm.boot.source import Source
from vmm.errors import BootError
from vmm.layout import MIB, PAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class GuestRam(Protocol):
        """What booting needs of guest memory (vmm.memory.GuestMemory)."""

        def ranges(self) -> list[tuple[int, int]]: ...
        def write(self, gpa: int, data: bytes | bytearray | memoryview) -> None: ...
        def zero(self, gpa: int, length: int) -> None: ...
        def huge(self, gpa: int, length: int) -> None: ...
        def huge_on_fill(self, length: int) -> None: ...
        def load_file(self, gpa: int, fd: int, offset: int, length: int) -> None: ...


EXPECTED_MAX = 8 << 30  # bytes a call: the struct pages of 512 GiB, the largest of all


class Loader:
    """Collects `pieces` while writing them. `fresh` says that RAM not yet written reads as zero."""

    def __init__(self, memory: GuestRam, fresh: bool = True) -> None:
        self.memory = memory
        self.fresh = fresh
        self.ram = memory.ranges()
        self.pieces: list[Piece] = []

    def claim(self, name: str, base: int, length: int) -> None:
        """Reserve [base, base + length) or raise a BootError that says what is in the way."""
        end = base + length
        if not any(start <= base and end <= start + size for start, size in self.ram):
            total = sum(size for _, size in self.ram)
            raise BootError(
                f"{name} needs memory {base:#x}..{end:#x}, which is not RAM in a VM with "
                f"{total // MIB} MiB; give it more memory or another image"
            )
        for piece in self.pieces:
            if base < piece.base + piece.length and piece.base < end:
                raise BootError(
                    f"{name} needs memory {base:#x}..{end:#x}, where {piece.name} is "
                    f"({piece.base:#x}..{piece.base + piece.length:#x}); "
                    "kernels are linked at 1 MiB or above"
                )
        self.pieces.append(Piece(name=name, base=base, length=length))

    def put(self, name: str, base: int, data: bytes) -> None:
        self.claim(name, base, len(data))
        self.memory.write(base, data)

    def expect(self, base: int, length: int) -> None:
        """Announce that much will be written there: fresh memory can get huge pages first.

        What is not RAM, and what is more than any kernel fills, is left out.
        """
        for start, size in self.ram if self.fresh else ():
            first, last = max(base, start), min(base + min(length, EXPECTED_MAX), start + size)
            if first < last:
                self.memory.huge(first, last - first)

    def expect_somewhere(self, length: int) -> None:
        """The same for a place that only the guest knows; the first that it fills."""
        if self.fresh:
            self.memory.huge_on_fill(length)

    def put_file(
        self, name: str, base: int, source: Source, part: tuple[int, int], memsz: int
    ) -> None:
        """`part` (offset, length) of a file at `base`, zeros up to `memsz`."""
        offset, length = part
        self.claim(name, base, memsz)
        if length:
            try:
                self.memory.load_file(base, source.fd, offset, length)
            except OSError as error:
                raise source.refuse(f"could not be read: {error.strerror}") from None
        if not self.fresh and memsz > length:
            self.memory.zero(base + length, memsz - length)

    def find(self, length: int, limit: int, floor: int = MIB) -> int | None:
        """Highest free page-aligned base >= `floor` for `length` bytes ending by `limit`."""
        for start, size in reversed(self.ram):
            base = min(limit, start + size) - length & ~(PAGE - 1)
            while base >= max(start, floor):
                in_way = [
                    p.base
                    for p in self.pieces
                    if base < p.base + p.length and p.base < base + length
                ]
                if not in_way:
                    return base
                base = min(in_way) - length & ~(PAGE - 1)
        return None
