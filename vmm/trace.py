"""`--trace KIND[,KIND...][:FILE]`: one JSON object a line for each thing that happens.

Every kind goes this one way. Who has something to tell asks once whether it is wanted, and does
nothing for it otherwise; what all lines have is `kind` and `t`, seconds of CLOCK_MONOTONIC.
"""

from __future__ import annotations

import sys

from vmm.threads import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


class Trace:
    """Where lines are written. Any thread."""

    def __init__(self, path: str) -> None:
        """Raises OSError if the file cannot be written; "" is standard error."""
        import json

        self._encode = json.JSONEncoder(separators=(",", ":")).encode
        self._file: TextIO = sys.stderr
        if path:
            self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115 - until close()
        self._own = bool(path)
        self._lock = Lock()

    def write(self, kind: str, at: float, **fields: object) -> None:
        line = self._encode({"kind": kind, "t": round(at, 6), **fields}) + "\n"
        with self._lock:
            self._file.write(line)

    def close(self) -> None:
        with self._lock:
            self._file.flush()
            if self._own:
                self._file.close()
