"""A channel on a running loop, with a front-end in Python and the events it posts."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from vmm.layout import MIB
from vmm.loop import IoLoop
from vmm.native import ffi, lib

EVENTS = ("LOOP_ESCAPE", "LOOP_PANIC_LINE", "LOOP_PEER_LOST", "LOOP_PEER_JOINED")
PATIENCE = 20  # seconds until a wait is a failure


class ChanRig:
    """`take` decides how many of the offered bytes the front-end takes; all if not set."""

    def __init__(self, limit: int = 16 * MIB, drop: bool = False) -> None:
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

    def listen(self, path: str) -> None:
        """Peers come by a socket at `path` from now on."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(4)
            listener.setblocking(False)
            assert lib.chan_listen(self.chan, listener.detach()) == 0

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


class StraightRig(ChanRig):
    """A front-end with memory of its own for input, `pieces` long each, `room` of them at most."""

    def __init__(self, limit: int = 16 * MIB, drop: bool = False) -> None:
        super().__init__(limit, drop)
        self.pieces, self.room = (100, 1, 4096), 64
        self.links: list[bool] = []
        self.fills: list[int] = []
        self._callbacks = {
            "rx": self._rx,
            "tx_ready": self._tx_ready,
            "room": ffi.callback("int(void *, struct iovec *, int)", self._make_room),
            "filled": ffi.callback("void(void *, size_t)", self._take_filled),
            "peer": ffi.callback("void(void *, bool)", self._linked),
        }
        self._front = ffi.new("struct chan_front *", self._callbacks)
        lib.chan_set_front(self.chan, self._front)

    def _make_room(self, _opaque: object, ret: Any, limit: int) -> int:
        count = min(limit, self.room, len(self.pieces))
        self.memory = [ffi.new("uint8_t[]", length) for length in self.pieces[:count]]
        for i, memory in enumerate(self.memory):
            ret[i].iov_base, ret[i].iov_len = memory, len(memory)
        return count

    def _take_filled(self, _opaque: object, length: int) -> None:
        data = b"".join(bytes(memory) for memory in self.memory)[:length]
        with self.changed:
            self.fills.append(length)
            self.received += data
            self.changed.notify_all()

    def _linked(self, _opaque: object, connected: bool) -> None:
        with self.changed:
            if connected or self.links:  # that nobody is there at first is no news
                self.links.append(connected)
            self.changed.notify_all()

    def on_loop(self, function: Any) -> Any:
        """The result of `function()`, called on the loop's thread."""
        result: list[Any] = []
        self.loop.call(lambda: result.append(function()))
        self.settle()
        return result[0]

    def writev(self, *pieces: bytes) -> int:
        kept = [ffi.from_buffer(piece) for piece in pieces]
        iov = ffi.new("struct iovec[]", [{"iov_base": p, "iov_len": len(p)} for p in kept])
        return int(self.on_loop(lambda: lib.chan_writev(self.chan, iov, len(pieces))))


MakeChan = Callable[..., ChanRig]


@pytest.fixture
def make_chan() -> Iterator[MakeChan]:
    made: list[ChanRig] = []

    def make(limit: int = 16 * MIB, drop: bool = False) -> ChanRig:
        made.append(ChanRig(limit, drop))
        return made[-1]

    yield make
    for rig in made:
        rig.close()


def read_exactly(fd: int, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        piece = os.read(fd, length - len(data))
        assert piece, f"ended after {len(data)} of {length} bytes"
        data += piece
    return bytes(data)
