"""The user's terminal in raw mode, given back on every way out.

`RawTerminal` restores the terminal when it is closed, when the interpreter exits (atexit), on
SIGTERM and SIGHUP where nobody else handles them, and around a stop (SIGTSTP) until SIGCONT. A
process in the background leaves the terminal alone: it belongs to the foreground job.
"""

from __future__ import annotations

import os
import termios

from vmm.errors import HostError
from vmm.threads import in_main_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

IFLAG, LFLAG, CFLAG, CC = 0, 3, 2, 6  # indices of termios.tcgetattr()'s list
INPUT_PROCESSING = (
    termios.BRKINT
    | termios.ICRNL
    | termios.IGNCR
    | termios.INLCR
    | termios.INPCK
    | termios.ISTRIP
    | termios.IXON
    | termios.PARMRK
)
LINE_EDITING = termios.ECHO | termios.ECHONL | termios.ICANON | termios.IEXTEN | termios.ISIG


def raw_attributes(attributes: list[Any]) -> list[Any]:
    """A copy of tcgetattr()'s list for a terminal that passes every byte.

    Output processing stays as it is, so that log lines on the same terminal look right.
    """
    raw = [*attributes[:CC], list(attributes[CC])]
    raw[IFLAG] &= ~INPUT_PROCESSING
    raw[LFLAG] &= ~LINE_EDITING
    raw[CFLAG] = raw[CFLAG] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    raw[CC][termios.VMIN], raw[CC][termios.VTIME] = 1, 0
    return raw


def in_foreground(fd: int) -> bool:
    """Whether this process may change the terminal. True if it is not under job control here."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return True


class RawTerminal:
    """The terminal `fd`, which stays the caller's. enter() and close() may be repeated.

    Signal handlers are set only on the main thread and only for signals that have their default
    action; close() takes them back unless somebody else has replaced them meanwhile.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.raw = False
        try:
            self._saved = termios.tcgetattr(fd)
        except termios.error as error:
            raise HostError(f"Reading the terminal's settings failed: {error.args[-1]}") from error
        self._handlers: dict[int, Any] = {}  # signal number -> what was there before

    def __enter__(self) -> RawTerminal:
        self.enter()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def enter(self) -> None:
        """Raw from now on; in the background, from the next SIGCONT in the foreground on."""
        import atexit

        atexit.unregister(self.close)
        atexit.register(self.close)
        self._watch_signals()
        self._set_raw()

    def close(self) -> None:
        """As it was found."""
        import atexit

        self._set_cooked()
        self._unwatch_signals()
        atexit.unregister(self.close)

    def _set_raw(self) -> None:
        if not in_foreground(self.fd):
            return
        try:
            termios.tcsetattr(self.fd, termios.TCSANOW, raw_attributes(self._saved))
        except termios.error:
            return  # the terminal is gone: SIGHUP follows
        self.raw = True

    def _set_cooked(self) -> None:
        if not self.raw or not in_foreground(self.fd):
            return
        self.raw = False
        try:
            termios.tcsetattr(self.fd, termios.TCSANOW, self._saved)
        except termios.error:
            return  # nothing is left to restore

    # --- signals

    def _watch_signals(self) -> None:
        import signal

        if self._handlers or not in_main_thread():
            return
        ours = (
            (signal.SIGTERM, self._on_end),
            (signal.SIGHUP, self._on_end),
            (signal.SIGTSTP, self._on_stop),
            (signal.SIGCONT, self._on_continue),
        )
        for number, handler in ours:
            if signal.getsignal(number) == signal.SIG_DFL:
                self._handlers[number] = handler
                signal.signal(number, handler)

    def _unwatch_signals(self) -> None:
        import signal

        if not in_main_thread():
            return
        for number, handler in self._handlers.items():
            if signal.getsignal(number) == handler:
                signal.signal(number, signal.SIG_DFL)
        self._handlers = {}

    def _on_end(self, number: int, _frame: object) -> None:
        """Nobody else handles it: restore, then die of it as any program would."""
        import signal

        self.close()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _on_stop(self, number: int, _frame: object) -> None:
        import signal

        self._set_cooked()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # Here again after SIGCONT.
        signal.signal(number, self._on_stop)
        self._set_raw()

    def _on_continue(self, _number: int, _frame: object) -> None:
        self._set_raw()
