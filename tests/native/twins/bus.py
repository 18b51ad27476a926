"""The reference for core/bus/bus.c: claims in a list; devices log what reaches them."""

from __future__ import annotations

import errno


class BusTwin:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.claims: list[tuple[int, int, int]] = []  # base, length, device number

    def claim(self, base: int, length: int, number: int) -> int:
        if length == 0 or base + length > self.limit:
            return -errno.EINVAL
        if any(base < b + n and b < base + length for b, n, _ in self.claims):
            return -errno.EEXIST
        self.claims.append((base, length, number))
        return 0

    def release(self, base: int, length: int) -> int:
        for claim in self.claims:
            if claim[:2] == (base, length):
                self.claims.remove(claim)
                return 0
        return -errno.ENOENT

    def move(self, base: int, length: int, to: int) -> int:
        if length == 0 or to + length > self.limit:
            return -errno.EINVAL
        for claim in self.claims:
            if claim[:2] == (base, length):
                self.claims.remove(claim)
                error = self.claim(to, length, claim[2])
                if error:
                    self.claims.append(claim)
                return error
        return -errno.ENOENT

    def split(self, address: int, size: int) -> list[tuple[int, int, int]]:
        """The device accesses that one bus access becomes: (device or -1, offset, size)."""
        for base, length, number in self.claims:
            if base <= address and address + size <= base + length:
                return [(number, address - base, size)]
        if size == 1:
            return [(-1, 0, 1)]
        return [part for at in range(address, address + size) for part in self.split(at, 1)]
