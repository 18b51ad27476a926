"""What core/xen/gnttab.c promises, in Python."""

from __future__ import annotations

PAGE = 4096
PERMIT, READONLY, READING, WRITING = 1, 4, 8, 16
EPERM, EACCES, EFAULT, EINVAL = -1, -13, -14, -22


class Grants:
    """`entries` are [flags, domid, frame] by reference, as the guest sees them."""

    def __init__(self, refs: int, memory: int) -> None:
        self.entries = [[0, 0, 0] for _ in range(refs)]
        self.memory = memory
        self.pins = [[0, 0] for _ in range(refs)]

    def map(self, ref: int, write: bool) -> int:
        if ref >= len(self.entries):
            return EINVAL
        entry = self.entries[ref]
        flags, domid, frame = entry
        if flags & 3 != PERMIT:
            return EINVAL
        if domid:
            return EPERM
        if write and flags & READONLY:
            return EACCES
        if frame * PAGE >= self.memory:
            entry[0] |= READING | (WRITING if write else 0)
            self._release(ref)
            return EFAULT
        entry[0] |= READING | (WRITING if write else 0)
        self.pins[ref][write] += 1
        return 0

    def unmap(self, ref: int, write: bool) -> None:
        if ref < len(self.pins) and self.pins[ref][write]:
            self.pins[ref][write] -= 1
            self._release(ref)

    def _release(self, ref: int) -> None:
        readers, writers = self.pins[ref]
        if not writers:
            self.entries[ref][0] &= ~WRITING
        if not writers and not readers:
            self.entries[ref][0] &= ~READING
