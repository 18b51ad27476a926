"""Byte channels: a C channel (chan.h) and what a console or port is given on the host.

stdio and pty are terminals, file and null take output only, socket waits for callers, connect
calls, pipe is a pair of FIFOs, fd was inherited, ring stays in memory. Nothing here changes a
descriptor that a shell shares with us: terminals and pipes are opened anew for non-blocking use,
and the terminal's mode is given back by vmm.host.tty.
"""

from __future__ import annotations

import os
import stat

from vmm.errors import HostError
from vmm.native import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vmm.consoleconfig import ConsoleConfig
    from vmm.host.tty import RawTerminal
    from vmm.loop import IoLoop
    from vmm.native import Fd

LIMIT = 16 << 20  # bytes of output kept for a slow reader
STDIN, STDOUT = 0, 1
FLUSH_SLICE = 200  # ms in C at a time, so that signals are seen
PATIENCE = {"stdio": 10.0, "pty": 1.0, "socket": 5.0, "connect": 5.0}  # s, see Chan.patience


class Chan:
    """One channel. `pointer` goes to the C device; `path` is the pty's or socket's name, else "".

    `patience` is how long close() waits, in seconds, for a reader that takes nothing; one that
    takes something is waited for as long as it needs.
    """

    def __init__(self, loop: IoLoop, overflow: str = "block", limit: int = LIMIT) -> None:
        """overflow: "block" or "drop"; limit: bytes of output kept, 4 KiB to 1 GiB."""
        policy = lib.CHAN_BLOCK if overflow == "block" else lib.CHAN_DROP
        pointer = lib.chan_create(loop.pointer, limit, policy)
        if pointer == ffi.NULL:
            raise HostError(f"Making a console channel failed: {os.strerror(ffi.errno)}")
        self.pointer: Any = ffi.gc(pointer, lib.chan_destroy)
        self.loop = loop  # outlives the C channel
        self.kind, self.path, self.purpose = "null", "", "the console"
        self.patience = 0.0
        self.on_terminal = False  # a line the guest left unfinished is ended by close()
        self.feeder = -1  # what feed() writes to
        self.slave: Fd | None = None  # of a pty: held open so that it keeps what nobody has read
        self._told = 0  # bytes put when leaves_line_open() was last asked
        # Known once closed: bytes of output that nobody will see, how many of them close() gave up,
        # errno of the write that ended it all, whether somebody could have read at the end.
        self.lost = self.given_up = self.error = 0
        self.has_peer = False
        self._closers: list[Callable[[], None]] = []

    def own(self, close: Callable[[], None]) -> None:
        """Calls `close` when the channel closes, last one first."""
        self._closers.append(close)

    def attach(self, in_fd: int, out_fd: int) -> None:
        """The peer's descriptors, -1 for none; they belong to the channel from here on."""
        self._check(lib.chan_attach(self.pointer, in_fd, out_fd), "Attaching")

    def attach_shared(self, in_fd: int, out_fd: int) -> None:
        """Like attach(), but the descriptors stay the caller's; one that is closed counts as -1."""
        self.attach(_private(in_fd, os.O_RDONLY), _private(out_fd, os.O_WRONLY))

    def listen(self, fd: int) -> None:
        """A listening socket, the channel's from here on."""
        self._check(lib.chan_listen(self.pointer, fd), "Listening on")

    def keep(self, in_fd: int) -> None:
        """Output stays in the buffer for take()."""
        self._check(lib.chan_keep(self.pointer, in_fd), "Attaching")

    def follow_opens(self) -> None:
        """A pty counts as connected only while somebody has it open, as a socket with its caller.

        What a user leaves unread is gone then.
        """
        if self.slave is not None:
            path = self.path.encode()
            self._check(lib.chan_watch_opens(self.pointer, path), "Watching")
            self.slave.close()

    def _check(self, result: int, what: str) -> None:
        if result < 0:
            raise HostError(f"{what} {self.kind} for {self.purpose} failed: {os.strerror(-result)}")

    @property
    def connected(self) -> bool:
        """Whether output has a place to go and input may come."""
        return self.pointer is not None and bool(lib.chan_connected(self.pointer))

    def take(self, length: int) -> bytes:
        """At most `length` bytes of what a ring kept, oldest first; it keeps them no longer."""
        buffer = ffi.new("uint8_t[]", length)
        return bytes(ffi.buffer(buffer, lib.chan_take(self.pointer, buffer, length)))

    def feed(self, data: bytes) -> int:
        """Input for the guest through a ring; how many bytes it had room for."""
        try:
            return os.write(self.feeder, data)
        except BlockingIOError:
            return 0

    def put(self, data: bytes) -> int:
        """Output as a guest would write it; how many bytes were taken."""
        return int(lib.chan_put(self.pointer, data, len(data)))

    def set_escape(self, on: bool) -> None:
        """Ctrl-A in the input starts an escape, posted as LOOP_ESCAPE."""
        lib.chan_set_escape(self.pointer, on)

    def watch_panic(self, on: bool) -> None:
        """The kernel's panic line in the output is posted as LOOP_PANIC_LINE."""
        lib.chan_watch_panic(self.pointer, on)

    def tail(self) -> bytes:
        """The last bytes put, at most 16 KiB; also after close()."""
        return self._tail if self.pointer is None else self._last(lib.CHAN_TAIL)

    def _last(self, length: int) -> bytes:
        buffer = ffi.new("uint8_t[]", length)
        return bytes(ffi.buffer(buffer, lib.chan_tail(self.pointer, buffer, length)))

    def leaves_line_open(self) -> bool:
        """Whether a terminal's cursor stands behind text of the guest; told once for each text.

        What the guest has written so far is on the terminal when this returns.
        """
        if not self.on_terminal or self.pointer is None:
            return False
        lib.chan_flush(self.pointer, 0)
        told, self._told = self._told, self.counters()["out_bytes"]
        return told != self._told and self._last(4).rstrip(b"\r")[-1:] not in (b"", b"\n")

    def counters(self) -> dict[str, int]:
        """Bytes in, out, dropped, buffered; writes, wake-ups, peers."""
        if self.pointer is None:
            return self._counters
        counters = ffi.new("struct chan_counters *")
        lib.chan_counters(self.pointer, counters)
        return {name: getattr(counters, name) for name in dir(counters)}

    def flush(self) -> int:
        """Waits until the peer has taken everything, see `patience`; bytes left."""
        import time

        left = int(lib.chan_flush(self.pointer, 0))
        end = time.monotonic() + self.patience
        while left and time.monotonic() < end:
            before = left
            left = int(lib.chan_flush(self.pointer, FLUSH_SLICE))
            if left < before:
                end = time.monotonic() + self.patience
            elif not lib.chan_has_peer(self.pointer):
                break
        return left

    def close(self) -> None:
        """Flushes, detaches, gives terminal and socket path back. May be repeated."""
        try:
            if self.leaves_line_open():
                self.put(b"\n")
            if self.pointer is not None:
                self.given_up = self.flush()
        finally:
            self._end(ffi.release)

    def abandon(self) -> None:
        """Instead of `close()`, when a device that nobody can stop may still use the C side."""
        self._end(lambda pointer: ffi.gc(pointer, None))

    def _end(self, let_go: Callable[[Any], object]) -> None:
        if self.pointer is not None:
            self._remember()
            let_go(self.pointer)
            self.pointer = None
        while self._closers:
            self._closers.pop()()

    def _remember(self) -> None:
        self._tail, self._counters = self.tail(), self.counters()
        self.lost = self.given_up + self._counters["dropped_bytes"]
        self.error = int(lib.chan_out_error(self.pointer))
        self.has_peer = bool(lib.chan_has_peer(self.pointer))


def open_console(
    config: ConsoleConfig,
    loop: IoLoop,
    overflow: str = "block",
    limit: int = LIMIT,
    purpose: str = "the console",
) -> Chan:
    """The channel that `config` names. HostError, which names `purpose`, if the host refuses it.

    A terminal on stdin is put into raw mode, and Ctrl-A escapes are on there. A ring drops, at a
    size of its own, whatever `overflow` and `limit` say.
    """
    opener: Callable[[Chan, str], None] = _open_stdio
    path = config.path
    if config.kind != "stdio":
        from vmm.backends.openers import OPENERS, ring_size

        opener = OPENERS[config.kind]
        if config.kind == "ring":
            overflow, limit = "drop", ring_size(path)
    chan = Chan(loop, overflow, limit)
    chan.kind, chan.purpose = config.kind, purpose
    chan.patience = PATIENCE.get(config.kind, 0.0)
    try:
        opener(chan, path)
    except BaseException:
        chan.close()
        raise
    return chan


def _open_stdio(chan: Chan, _path: str) -> None:
    chan.attach_shared(STDIN, STDOUT)
    chan.on_terminal = os.isatty(STDOUT)
    if os.isatty(STDIN):
        from vmm.host.tty import RawTerminal

        terminal: RawTerminal = RawTerminal(STDIN)
        chan.own(terminal.close)
        terminal.enter()
        chan.set_escape(True)


def _private(fd: int, access: int) -> int:
    """Our own descriptor of what `fd` refers to, -1 if that is closed.

    Terminals and pipes are opened again, because O_NONBLOCK belongs to the open file and the shell
    shares that. A file is not: its offset and O_APPEND are shared on purpose. Where opening is not
    allowed (a terminal of another user), the C side copes with a blocking descriptor.
    """
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return -1
    if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
        try:
            return os.open(
                f"/proc/self/fd/{fd}", access | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            )
        except OSError:
            pass
    return os.dup(fd)
