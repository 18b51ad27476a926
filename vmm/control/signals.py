"""Signals that end a run: the first ends the machine in order, the second ends the process at once.

`_signal` is the C half of `signal`; the Python half costs an enum import before every guest.
"""

from __future__ import annotations

import os
from _signal import (  # type: ignore[import-not-found]
    SIG_IGN,
    SIGHUP,
    SIGINT,
    SIGPIPE,
    SIGTERM,
    set_wakeup_fd,
    signal,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vmm.machine import Machine

ENDING = (SIGINT, SIGTERM, SIGHUP, SIGPIPE)


class SignalledEarly(KeyboardInterrupt):
    """A signal came before there was a machine to end."""


class Signals:
    """Owns the handlers from entry to exit. Main thread only."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._machine: Machine | None = None
        self._seen = 0
        self._pipe: tuple[int, ...] = ()

    def __enter__(self) -> Signals:
        for number in ENDING:
            self._before[number] = signal(number, self._handle)
        if self._before[SIGHUP] == SIG_IGN:
            signal(SIGHUP, SIG_IGN)  # nohup: outlive the terminal
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._pipe:
            set_wakeup_fd(-1)
            for fd in self._pipe:
                os.close(fd)
        for number, handler in self._before.items():
            signal(number, handler)

    def on(self, number: int, action: Callable[[], None]) -> None:
        """`action()` on the main thread at each signal of that number, until the end."""
        self._before[number] = signal(number, lambda _number, _frame: action())

    def end(self, machine: Machine) -> None:
        """From now on a signal ends `machine`.

        One that arrives just before the main thread goes to sleep would be noticed only when
        something else wakes it: the interpreter tells the I/O loop, and that wakes it.
        """
        self._machine = machine
        self._pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        machine.wake_when_readable(self._pipe[0])

    def _handle(self, number: int, _frame: object) -> None:
        self._seen += 1
        if self._machine is None:
            from signal import Signals as Names

            raise SignalledEarly(f"stopped by {Names(number).name}")
        if self._seen == 1:
            from vmm.outcome import signalled

            self._machine.post(signalled(number))
        elif number == SIGINT:
            self._end_hard()

    def _end_hard(self) -> None:
        """The orderly end hangs: show where every thread stands, and go."""
        import faulthandler

        from vmm.errors import EXIT_SIGNAL

        faulthandler.dump_traceback(all_threads=True)
        os._exit(EXIT_SIGNAL)
