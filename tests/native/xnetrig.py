"""Xen's network device and its driver; the other ends of the wire are sockets of the test."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from struct import pack, unpack
from typing import Any, NamedTuple

from tests.native.grantrig import PAGE, GrantRig
from tests.native.xenringrig import Wires, until
from vmm.memory import GuestMemory
from vmm.native import ffi, lib

TX_RING, RX_RING = 0x200, 0x210  # page numbers, and references to them; one more for each queue
TX_DATA, RX_DATA, DATA = 0x400, 0x800, 0x400
BLANK, VALIDATED, MORE, EXTRA = 1, 2, 4, 8
OKAY, ERROR, NULL = 0, -1, 1
GSO, TCPV4, TCPV6 = 1, 1, 2
SG, CSUM4, CSUM6, TSO4, TSO6 = 1, 2, 4, 8, 16
EVERYTHING = SG | CSUM4 | CSUM6 | TSO4 | TSO6
SIZE = 256
NEEDS_CSUM, DATA_VALID = 1, 2
NO_HEADER = bytes(12)


def header(
    flags: int = 0, gso: int = 0, hdr_len: int = 0, size: int = 0, start: int = 0, offset: int = 0
) -> bytes:
    """struct virtio_net_hdr_v1."""
    return pack("<BBHHHHH", flags, gso, hdr_len, size, start, offset, 0)


class Got(NamedTuple):
    """A frame that the guest received; `gso` is (kind, size)."""

    data: bytes
    flags: int
    gso: tuple[int, int] | None


class Queue:
    """The driver's side of one pair of rings."""

    def __init__(self, memory: GuestMemory, number: int, split: bool) -> None:
        self.memory, self.number = memory, number
        self.tx_page, self.rx_page = TX_RING + number, RX_RING + number
        self.tx_wires = Wires()
        self.rx_wires = Wires() if split else self.tx_wires
        self.clear()

    def clear(self) -> None:
        self.tx_prod = self.tx_seen = self.rx_prod = self.rx_seen = self.rx_next = 0
        self.posted: list[tuple[int, int]] = []  # (id, reference) of the receive ring
        for page in (self.tx_page, self.rx_page):
            self.memory.write(page * PAGE, bytes(PAGE))
            self.arm(page, 1)

    def word(self, page: int, at: int) -> int:
        return int(unpack("<I", self.memory.read(page * PAGE + at, 4))[0])

    def arm(self, page: int, event: int) -> None:
        self.memory.write(page * PAGE + 12, pack("<I", event & 0xFFFFFFFF))

    def publish(self, page: int, prod: int) -> None:
        self.memory.write(page * PAGE, pack("<I", prod & 0xFFFFFFFF))
        (self.tx_wires if page == self.tx_page else self.rx_wires).kick()

    def put(self, entry: bytes) -> None:
        at = self.tx_page * PAGE + 64 + self.tx_prod % SIZE * 12
        self.memory.write(at, entry.ljust(12, b"\0"))
        self.tx_prod += 1

    def request(
        self, ref: int, size: int, flags: int = 0, offset: int = 0, number: int = 9
    ) -> None:
        self.put(pack("<IHHHH", ref, offset, flags, number, size))

    def extra(self, kind: int, flags: int = 0, rest: bytes = bytes(6)) -> None:
        self.put(pack("<BB", kind, flags) + rest)

    def submit(self) -> None:
        self.publish(self.tx_page, self.tx_prod)

    def frame(
        self, data: bytes, cuts: Sequence[int] = (), flags: int = 0,
        gso: tuple[int, int] | None = None, first: int = TX_DATA,
    ) -> None:  # fmt: skip
        """One frame, a page for each piece; `cuts` are where pieces end."""
        ends = [*cuts, len(data)]
        starts = [0, *cuts]
        for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
            more = MORE if index + 1 < len(ends) else 0
            ref, offset = first + index, (index * 7) % (PAGE - (end - start) + 1)
            self.memory.write(ref * PAGE + offset, data[start:end])
            own = (flags | (EXTRA if gso else 0)) if not index else 0
            self.request(ref, end - start if index else len(data), own | more, offset, index)
            if gso and not index:
                self.extra(GSO, 0, pack("<HBBH", gso[1], gso[0], 0, 0))

    def answers(self, count: int) -> list[tuple[int, int]]:
        """(id, status) of each entry of the transmit ring."""
        until(lambda: self.word(self.tx_page, 8) - self.tx_seen >= count)
        found = []
        while self.tx_seen < self.word(self.tx_page, 8):
            at = self.tx_page * PAGE + 64 + self.tx_seen % SIZE * 12
            found.append(unpack("<Hh", self.memory.read(at, 4)))
            self.tx_seen += 1
        assert len(found) == count
        self.arm(self.tx_page, self.tx_seen + 1)
        return found

    def post(self, count: int, refs: Iterable[int] | None = None) -> None:
        """Pages for frames."""
        base = RX_DATA + self.number * SIZE
        for ref in refs or [base + (self.rx_prod + n) % SIZE for n in range(count)]:
            number = self.rx_prod % SIZE
            at = self.rx_page * PAGE + 64 + number * 8
            self.memory.write(at, pack("<HHI", number, 0, ref))
            self.posted.append((number, ref))
            self.rx_prod += 1
        self.publish(self.rx_page, self.rx_prod)

    def _slot(self) -> tuple[bytes, int]:
        """An entry of the receive ring, and the page that it had."""
        until(lambda: self.word(self.rx_page, 8) > self.rx_seen)
        at = self.rx_page * PAGE + 64 + self.rx_seen % SIZE * 8
        self.rx_seen += 1
        entry = self.memory.read(at, 8)
        self.arm(self.rx_page, self.rx_seen + 1)
        return entry, self.posted.pop(0)[1]

    def slot(self) -> tuple[int, int, int, int, int]:
        """(id, offset, flags, status, reference)."""
        entry, ref = self._slot()
        return (*unpack("<HHHh", entry), ref)

    def receive(self) -> Got:
        number, offset, flags, status, ref = self.slot()
        assert (number, offset) == ((self.rx_seen - 1) % SIZE, 0)
        assert status >= 0
        first, gso = flags, None
        data = self.memory.read(ref * PAGE, status)
        if flags & EXTRA:
            kind, more, size, way = unpack("<BBHBxxx", self._slot()[0])
            assert (kind, more) == (GSO, 0)
            gso = (way, size)
        while flags & MORE:
            _number, offset, flags, status, ref = self.slot()
            assert offset == 0
            data += self.memory.read(ref * PAGE, status)
        return Got(data, first & ~(MORE | EXTRA), gso)

    def close(self) -> None:
        self.tx_wires.close()
        if self.rx_wires is not self.tx_wires:
            self.rx_wires.close()


class Rig(GrantRig):
    """Rings and data pages are granted from the start."""

    def __init__(
        self, queues: int = 1, takes: int = EVERYTHING, split: bool = True, connect: bool = True
    ) -> None:
        super().__init__()
        self.grant_all()
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(queues)]
        self.ends, self.peers = [a for a, _ in pairs], [b for _, b in pairs]
        for end, peer in pairs:
            end.setblocking(False)
            peer.settimeout(20)
        setup = {
            "grants": self.grants, "loop": self.loop.pointer, "queues": queues, "tap": False,
            "fd": [end.fileno() for end in self.ends],
        }  # fmt: skip
        self.pointer = ffi.gc(
            lib.xnet_create(ffi.new("struct xnet_setup *", setup)), lib.xnet_destroy
        )
        self.events: list[int] = []
        self.loop.on(lib.XNET_EVENT, lambda value, _source: self.events.append(value))
        self.loop.start()
        self.queues = [Queue(self.memory, number, split) for number in range(queues)]
        if connect:
            self.connect(takes)

    @property
    def queue(self) -> Queue:
        return self.queues[0]

    @property
    def peer(self) -> socket.socket:
        return self.peers[0]

    def grant_all(self) -> None:
        for ref in (
            *range(TX_RING, TX_RING + 4), *range(RX_RING, RX_RING + 4),
            *range(TX_DATA, TX_DATA + DATA), *range(RX_DATA, RX_DATA + DATA),
        ):  # fmt: skip
            self.grant(ref)

    def try_connect(self, number: int, takes: int, **other: int) -> int:
        queue = self.queues[number % len(self.queues)]
        link = ffi.new(
            "struct xnet_link *",
            {
                "tx_ref": queue.tx_page, "rx_ref": queue.rx_page,
                "tx_kick": queue.tx_wires.kick_fd, "tx_call": queue.tx_wires.call_fd,
                "rx_kick": queue.rx_wires.kick_fd, "rx_call": queue.rx_wires.call_fd, **other,
            },
        )  # fmt: skip
        return int(self.loop.ask(lambda: lib.xnet_connect(self.pointer, number, link, takes)))

    def connect(self, takes: int = EVERYTHING) -> None:
        for queue in self.queues:
            queue.clear()
            assert self.try_connect(queue.number, takes) == 0

    def disconnect(self) -> None:
        self.loop.ask(lambda: lib.xnet_disconnect(self.pointer))

    def settle(self) -> None:
        """All that was told until now was looked at."""
        for _ in range(3):
            self.loop.ask(lambda: None)

    def counters(self) -> dict[str, int]:
        counters = ffi.new("struct xnet_counters *")
        lib.xnet_counters(self.pointer, counters)
        return {name: getattr(counters, name) for name in dir(counters)}

    def close(self) -> None:
        self.disconnect()
        assert self.mapped() == 0
        ffi.release(self.pointer)
        super().close()
        for queue in self.queues:
            queue.close()
        for end in (*self.ends, *self.peers):
            end.close()

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *_exception: Any) -> None:
        self.close()
