"""The terminal of `vmm lab shell`: raw while L1 has it, its size passed on, always restored."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios
import tty
from types import TracebackType

from vmm.errors import HostError
from vmm.lab.session import Session, say

LEAVE = 0x1D  # Ctrl-]
LEAVE_TIMES = 3  # in a row, each typed alone


class Left(Exception):
    """The user typed the way out."""


class Terminal:
    """Connects stdin to the session's terminal channel while it is entered.

    The terminal stays as it was until the job begins, so that Ctrl-C ends a boot.
    """

    def __init__(self, session: Session, fd: int = 0) -> None:
        self._session = session
        self._fd = fd
        self._saved: list[object] | None = None
        self._before: object = None
        self._leaving = 0

    def __enter__(self) -> Terminal:
        if not os.isatty(self._fd):
            raise HostError("vmm lab shell needs a terminal as its stdin; use vmm lab run instead")
        self._before = signal.signal(signal.SIGWINCH, lambda signum, frame: self._resize())
        self._session.on_job = self._start
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._saved is not None:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._saved)  # type: ignore[arg-type]
        signal.signal(signal.SIGWINCH, self._before)  # type: ignore[arg-type]

    def _start(self) -> None:
        say("Ctrl-] typed three times leaves the lab at once")
        self._saved = termios.tcgetattr(self._fd)
        tty.setraw(self._fd)
        self._session.on_readable(self._fd, self._forward)
        self._resize()

    def _forward(self) -> None:
        data = os.read(self._fd, 4096)
        self._leaving = self._leaving + 1 if data == bytes([LEAVE]) else 0
        if self._leaving == LEAVE_TIMES:
            raise Left
        if data:
            self._session.send("terminal", data)
        else:
            self._session.forget(self._fd)

    def _resize(self) -> None:
        size = fcntl.ioctl(self._fd, termios.TIOCGWINSZ, bytes(8))
        rows, columns, _, _ = struct.unpack("HHHH", size)
        if self._saved is not None and rows and columns:
            self._session.send("control", f"winsize {rows} {columns}\n".encode())
