"""Loading without a machine: where everything would go, for `--dry-run`."""

from __future__ import annotations

from vmm import layout
from vmm.boot import BootResult, Prepared


class PlannedRam:
    """RAM of `size` bytes as the loader sees it, without any memory behind it."""

    def __init__(self, size: int) -> None:
        self.size = size

    def ranges(self) -> list[tuple[int, int]]:
        return layout.ram_ranges(self.size)

    def write(self, gpa: int, data: bytes | bytearray | memoryview) -> None:
        """Forgets."""

    def zero(self, gpa: int, length: int) -> None:
        """Forgets."""

    def huge(self, gpa: int, length: int) -> None:
        """Forgets."""

    def huge_on_fill(self, length: int) -> None:
        """Forgets."""

    def load_file(self, gpa: int, fd: int, offset: int, length: int) -> None:
        """Forgets."""


def plan(images: Prepared, size: int) -> BootResult:
    """What `images.load` would do in a VM with `size` bytes of memory, with the same BootErrors."""
    return images.load(PlannedRam(size))
