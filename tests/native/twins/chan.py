"""The guest's side of a byte channel: bounded buffer, overflow policy, marks, tail."""

from __future__ import annotations

TAIL = 16384


class ChanTwin:
    """`stream` is what a peer that keeps up has seen after each flush()."""

    def __init__(self, limit: int, drop: bool) -> None:
        self.limit = limit
        self.drop = drop
        self.buffer = bytearray()
        self.everything = bytearray()
        self.stream = bytearray()
        self.lost_since_mark = 0
        self.dropped = 0

    def put(self, data: bytes) -> int:
        if not self.drop:
            data = data[: self.limit - len(self.buffer)]
        self.everything += data
        self.buffer += data
        excess = max(0, len(self.buffer) - self.limit)
        del self.buffer[:excess]
        self.lost_since_mark += excess
        self.dropped += excess
        return len(data)

    def can_put(self) -> bool:
        return self.drop or len(self.buffer) < self.limit

    def flush(self) -> None:
        if self.lost_since_mark:
            self.stream += b"\r\n[vmm: %d bytes lost]\r\n" % self.lost_since_mark
        self.lost_since_mark = 0
        self.stream += self.buffer
        self.buffer.clear()

    def tail(self) -> bytes:
        return bytes(self.everything[-TAIL:])
