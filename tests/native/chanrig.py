"""A channel on a running loop, with a front-end in Python and the events it posts."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from typing import Any

from vmm.loop import IoLoop
from vmm.native import ffi, lib

EVENTS = ("LOOP_ESCAPE", "LOOP_PANIC_LINE", "LOOP_PEER_LOST", "LOOP_PEER_JOINED")
PATIENCE = 20  # seconds until a wait is a failure


class ChanRig:
    """`take` decides how many of the offered bytes the front-end takes; all if not set."""

    def __init__(self, limit: int = 16 << 20, drop: bool = False) -> None:
        self.loop = IoLoop()
        policy = lib.CHAN_DROP if drop else lib.CHAN_BLOCK
        self.chan: Any = lib.chan_create(self.loop.pointer, limit, policy)
        assert self.chan != ffi.NULL
        self.changed = threading.Condition()
        self.events: list[tuple[str, int]] = []
        self.received = bytearray()
        self.ready = 0
        self.take: Callable[[bytes], int] = len
        for name in EVENTS:
            self.loop.on(
                getattr(lib, name), lambda value, _source, name=name: self._event(name, value)
            )
        self._rx = ffi.callback("size_t(void *, const uint8_t *, size_t)", self._receive)
        self._tx_ready = ffi.callback("void(void *)", self._on_ready)
        front = ffi.new("struct chan_front *", {"rx": self._rx, "tx_ready": self._tx_ready})
        lib.chan_set_front(self.chan, front)
        self.loop.start()

    def _event(self, name: str, value: int) -> None:
        with self.changed:
            self.events.append((name, value))
            self.changed.notify_all()

    def _receive(self, _opaque: object, buffer: Any, length: int) -> int:
        data = bytes(ffi.buffer(buffer, length))
        with self.changed:
            taken = self.take(data)
            self.received += data[:taken]
            self.changed.notify_all()
            return taken

    def _on_ready(self, _opaque: object) -> None:
        with self.changed:
            self.ready += 1
            self.changed.notify_all()

    def wait(self, condition: Callable[[], bool]) -> None:
        """Until something the front-end or the loop told makes `condition` true."""
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), (self.events, bytes(self.received))

    def wait_event(self, name: str, value: int | None = None) -> None:
        self.wait(lambda: any(e[0] == name and value in (None, e[1]) for e in self.events))

    def settle(self) -> None:
        done = threading.Event()
        self.loop.call(done.set)
        assert done.wait(PATIENCE)

    def pipe_out(self, blocking: bool = False) -> int:
        """Attaches the writing end of a pipe as output; the reading end."""
        read_end, write_end = os.pipe()
        os.set_blocking(write_end, blocking)
        assert lib.chan_attach(self.chan, -1, write_end) == 0
        return read_end

    def pipe_in(self) -> int:
        """Attaches the reading end of a pipe as input, nothing as output; the writing end."""
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        assert lib.chan_attach(self.chan, read_end, -1) == 0
        return write_end

    def pair(self) -> socket.socket:
        """Attaches one end of a pair; the other."""
        ours, theirs = socket.socketpair()
        fd = ours.detach()
        assert lib.chan_attach(self.chan, fd, fd) == 0
        return theirs

    def put(self, data: bytes) -> int:
        return int(lib.chan_put(self.chan, data, len(data)))

    def tail(self, length: int = 1 << 20) -> bytes:
        buffer = ffi.new("uint8_t[]", length)
        return bytes(ffi.buffer(buffer, lib.chan_tail(self.chan, buffer, length)))

    def counters(self) -> dict[str, int]:
        counters = ffi.new("struct chan_counters *")
        lib.chan_counters(self.chan, counters)
        return {name: getattr(counters, name) for name in dir(counters)}

    def close(self) -> None:
        self.loop.stop()
        lib.chan_destroy(self.chan)
        self.loop.close()


def read_exactly(fd: int, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        piece = os.read(fd, length - len(data))
        assert piece, f"ended after {len(data)} of {length} bytes"
        data += piece
    return bytes(data)
