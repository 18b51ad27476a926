"""The reference for core/memory/gmem.c: a list of regions and the rules of gmem.h, nothing else."""

from __future__ import annotations

import errno

READ, WRITE, READONLY = 1, 2, 1
LIMIT = 1 << 64


class GmemTwin:
    def __init__(self) -> None:
        self.regions: list[tuple[int, int, int, int]] = []  # gpa, size, hva, flags

    def add(self, gpa: int, size: int, hva: int, flags: int) -> int:
        if size == 0 or gpa + size >= LIMIT:
            return -errno.EINVAL
        for base, length, _hva, _flags in self.regions:
            if gpa < base + length and base < gpa + size:
                return -errno.EEXIST
        self.regions.append((gpa, size, hva, flags))
        self.regions.sort()
        return 0

    def remove(self, gpa: int, size: int) -> int:
        for region in self.regions:
            if region[:2] == (gpa, size):
                self.regions.remove(region)
                return 0
        return -errno.ENOENT

    def at(self, gpa: int, length: int, direction: int, most: int) -> int | list[tuple[int, int]]:
        if gpa + length >= LIMIT:
            return -errno.EFAULT
        pieces: list[tuple[int, int]] = []
        while length:
            region = next((r for r in self.regions if r[0] <= gpa < r[0] + r[1]), None)
            if region is None:
                return -errno.EFAULT
            base, size, hva, flags = region
            if direction & WRITE and flags & READONLY:
                return -errno.EROFS
            if len(pieces) == most:
                return -errno.E2BIG
            part = min(length, base + size - gpa)
            pieces.append(((hva + gpa - base) % LIMIT, part))
            gpa, length = gpa + part, length - part
        return pieces
