"""A guest that grants its pages to a back-end of ours: references are page numbers."""

from __future__ import annotations

from struct import pack

from vmm.loop import IoLoop
from vmm.memory import GuestMemory
from vmm.native import ffi, lib

PAGE, MEMORY, TABLE = 4096, 16 << 20, 0x100000
PERMIT, READONLY = 1, 4


class GrantRig:
    """Memory, a loop that does not run yet, and a table of 4096 references."""

    def __init__(self) -> None:
        self.memory, self.loop = GuestMemory(MEMORY), IoLoop()
        self.grants = ffi.gc(lib.gnttab_create(self.memory.pointer), lib.gnttab_destroy)
        for index in range(8):
            lib.gnttab_place(self.grants, index, TABLE + index * PAGE)

    def grant(self, ref: int, flags: int = PERMIT, domid: int = 0, page: int | None = None) -> None:
        entry = pack("<HHI", flags, domid, ref if page is None else page)
        self.memory.write(TABLE + ref * 8, entry)

    def mapped(self) -> int:
        counters = ffi.new("struct gnttab_counters *")
        lib.gnttab_counters(self.grants, counters)
        return int(counters.mapped)

    def close(self) -> None:
        """After the back-end's end."""
        self.loop.close()
        ffi.release(self.grants)
        self.memory.close()
