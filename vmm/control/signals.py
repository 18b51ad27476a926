"""Signals that end a run: the first ends the machine in order, the second ends the process at once.

`_signal` is the C half of `signal`; the Python half costs an enum import before every guest.
"""

from __future__ import annotations

from _signal import (  # type: ignore[import-not-found]
    SIGHUP,
    SIGINT,
    SIGPIPE,
    SIGTERM,
    signal,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
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

    def __enter__(self) -> Signals:
        for number in ENDING:
            self._before[number] = signal(number, self._handle)
        return self

    def __exit__(self, *_exception: object) -> None:
        for number, handler in self._before.items():
            signal(number, handler)

    def end(self, machine: Machine) -> None:
        """From now on a signal ends `machine`."""
        self._machine = machine

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
        import os

        from vmm.errors import EXIT_SIGNAL

        faulthandler.dump_traceback(all_threads=True)
        os._exit(EXIT_SIGNAL)
