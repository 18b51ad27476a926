"""`--trace KIND[,KIND...][:FILE]`: one JSON object a line for each thing that happens.

Every kind goes this one way. Who has something to tell asks once whether it is wanted, and does
nothing for it otherwise; what all lines have is `kind` and `t`, seconds of CLOCK_MONOTONIC.
"""

from __future__ import annotations

import sys
from errno import EBADF

from vmm.threads import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO


class Trace:
    """Where lines are written. Any thread."""

    def __init__(self, path: str, broken: Callable[[Exception], None]) -> None:
        """Raises OSError if the file cannot be opened; "" is standard error.

        A file that takes no more ends the trace and nothing else: `broken` is told, once.
        """
        import json

        self._encode = json.JSONEncoder(separators=(",", ":")).encode
        if not path and sys.stderr is None:  # it was closed when the program started
            raise OSError(EBADF, "standard error is closed")
        self._file: TextIO = sys.stderr
        if path:
            self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115 - until close()
        self._own = bool(path)
        self._ended = False
        self._broken = broken
        self._lock = Lock()

    def write(self, kind: str, at: float, **fields: object) -> None:
        line = self._encode({"kind": kind, "t": round(at, 6), **fields}) + "\n"
        with self._lock:
            self._try(lambda: self._file.write(line))

    def _try(self, action: Callable[[], object]) -> None:
        if self._ended:
            return
        try:
            action()
        except (OSError, ValueError) as error:  # the latter of a file that somebody has closed
            self._ended = True
            self._broken(error)

    def close(self) -> None:
        from contextlib import suppress

        with self._lock:
            self._try(self._file.flush)
            self._ended = True
            if self._own:
                with suppress(OSError, ValueError):  # told of already: what is left went nowhere
                    self._file.close()
