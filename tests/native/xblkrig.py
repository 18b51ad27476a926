"""The guest's side of a Xen block device: a ring, grants, requests as bytes."""

from __future__ import annotations

from pathlib import Path
from struct import pack, unpack
from typing import Any

from tests.native.grantrig import PAGE, GrantRig
from tests.native.xenringrig import Wires, until
from vmm.backends.block import BlockBackend
from vmm.backends.image import BlockConfig
from vmm.native import ffi, lib

RING, DATA = 0x200000 // PAGE, 0x400000 // PAGE  # page numbers, and references to them
SECTOR, SECTORS = 512, 4096
READ, WRITE, BARRIER, FLUSH, DISCARD, INDIRECT = 0, 1, 2, 3, 5, 6
OKAY, ERROR, UNSUPPORTED = 0, -1, -2

Segment = tuple[int, int, int]  # reference, first and last sector


class XblkRig(GrantRig):
    """RING and DATA pages are granted from the start."""

    def __init__(
        self, image: Path, pages: int = 1, *, narrow: bool = False, queues: int = 1, **config: Any
    ) -> None:
        super().__init__()
        self.wires, self.narrow = Wires(), narrow
        self.entry = 108 if narrow else 112
        for page in (*range(RING, RING + 4), *range(DATA, DATA + 1024)):
            self.grant(page)
        depth = 128 * queues
        self.backend = BlockBackend(
            "test", BlockConfig(path=str(image), **config), self.loop, depth
        )
        setup = {
            "grants": self.grants, "loop": self.loop.pointer, "blk": self.backend.pointer,
            "sectors": SECTORS, "read_only": self.backend.config.read_only,
            "queues": queues,
        }  # fmt: skip
        self.pointer = ffi.gc(
            lib.xblk_create(ffi.new("struct xblk_setup *", setup)), lib.xblk_destroy
        )
        self.events: list[int] = []
        self.loop.on(lib.XBLK_EVENT, lambda value, _source: self.events.append(value))
        self.loop.start()
        self.connect(pages)

    def connect(self, pages: int = 1) -> None:
        for page in range(RING, RING + 4):
            self.memory.write(page * PAGE, bytes(PAGE))
        self.prod = self.seen = 0
        self.size = 32 * pages
        self.arm(1)
        assert self.try_connect(list(range(RING, RING + pages))) == 0

    def try_connect(self, refs: list[int], queue: int = 0, wires: Wires | None = None) -> int:
        wires = wires or self.wires
        pages = ffi.new("uint32_t[]", refs)
        link = ffi.new("struct xblk_link *")
        link.refs, link.pages, link.narrow = pages, len(refs), self.narrow
        link.kick, link.call = wires.kick_fd, wires.call_fd
        return int(self.loop.ask(lambda: lib.xblk_connect(self.pointer, queue, link)))

    def disconnect(self) -> None:
        self.loop.ask(lambda: lib.xblk_disconnect(self.pointer))
        until(lambda: not lib.xblk_in_flight(self.pointer))

    def word(self, at: int) -> int:
        return int(unpack("<I", self.memory.read(RING * PAGE + at, 4))[0])

    def arm(self, event: int) -> None:
        self.memory.write(RING * PAGE + 12, pack("<I", event))

    def put(self, request: bytes) -> None:
        at = RING * PAGE + 64 + (self.prod % self.size) * self.entry
        request = request.ljust(112, b"\0")
        if self.narrow:
            request = request[:4] + request[8:]
        self.memory.write(at, request)
        self.prod += 1

    def submit(self, prod: int | None = None) -> None:
        self.memory.write(
            RING * PAGE, pack("<I", (self.prod if prod is None else prod) % (1 << 32))
        )
        self.wires.kick()

    def answers(self, count: int) -> dict[int, tuple[int, int]]:
        """Operation and status by id."""
        until(lambda: self.word(8) - self.seen >= count)
        found = {}
        while self.seen < self.word(8):
            at = RING * PAGE + 64 + (self.seen % self.size) * self.entry
            number, op, status = unpack("<QBxh", self.memory.read(at, 12))
            found[number] = (op, status)
            self.seen += 1
        assert len(found) == count
        return found

    def ask(self, request: bytes) -> int:
        self.put(request)
        self.submit()
        [(_op, status)] = self.answers(1).values()
        return status

    def counters(self) -> dict[str, int]:
        counters = ffi.new("struct xblk_counters *")
        lib.xblk_counters(self.pointer, counters)
        return {name: getattr(counters, name) for name in dir(counters)}

    def close(self) -> None:
        self.disconnect()
        assert self.mapped() == 0
        ffi.release(self.pointer)
        self.backend.close()
        super().close()
        self.wires.close()


def direct(op: int, sector: int, segments: list[Segment], number: int = 7) -> bytes:
    head = pack("<BBH4xQQ", op, len(segments), 0, number, sector)
    return head + b"".join(pack("<IBBxx", *segment) for segment in segments[:11])


def indirect(op: int, sector: int, count: int, ref: int, number: int = 7) -> bytes:
    return pack("<BBH4xQQHHI", INDIRECT, op, count, number, sector, 0, 0, ref)


def discard(sector: int, count: int, flag: int = 0) -> bytes:
    return pack("<BBH4xQQQ", DISCARD, flag, 0, 7, sector, count)
