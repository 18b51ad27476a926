"""A pseudo-terminal with `vmm boot` as its foreground process, for tests of what its user sees."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import time
from collections.abc import Sequence

from tests.commandkit import PATIENCE, command

EDITING = termios.ECHO | termios.ICANON | termios.ISIG


class Terminal:
    """`vmm boot ARGV` on a terminal of its own; `seen` is what it shows.

    `before` are words in front of the command, a shell's for instance.
    """

    def __init__(self, *argv: str, before: Sequence[str] = ()) -> None:
        words = [*before, *command(*argv)]
        self.master, self.slave = os.openpty()
        self.pid = os.fork()
        if self.pid == 0:
            os.login_tty(self.slave)
            os.execv(words[0], words)
        self.seen = b""
        self.patience = PATIENCE

    def wait_for(self, words: bytes) -> None:
        end = time.monotonic() + self.patience
        while words not in self.seen:
            assert time.monotonic() < end, self.seen
            self.read()

    def read(self) -> bool:
        """Takes what is shown soon; False if nothing is."""
        if not select.select([self.master], [], [], 0.05)[0]:
            return False
        self.seen += os.read(self.master, 4096)
        return True

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def cooked(self) -> bool:
        """Whether the terminal edits lines and echoes, as a shell left it."""
        modes = termios.tcgetattr(self.slave)[3]
        return bool(modes & EDITING == EDITING)

    def end(self) -> int:
        """The exit code, once the process has ended."""
        end = time.monotonic() + self.patience
        while True:
            assert time.monotonic() < end, self.seen
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while self.read():
                    pass
                return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        os.close(self.slave)
        os.close(self.master)
