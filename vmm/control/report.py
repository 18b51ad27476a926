"""The exit report: how a machine ended, as JSON that programs may rely on.

`SCHEMA` grows by one whenever a key changes its meaning or goes away; new keys may come any time.
docs/exit-report.md explains each key.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from vmm.errors import EXIT_REPORT, HostError, VmmError
from vmm.host.files import write_atomically
from vmm.record import Record, as_dict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vmm.control.consoles import Loss

SCHEMA = 1
CONSOLE_LINES = 40  # last lines of console output kept
CONSOLE_LINE_MAX = 500  # characters of one of them


class ReportError(VmmError):
    """The report cannot be written; what it would have said is on stderr."""

    exit_code = EXIT_REPORT


class Ending(Record):
    """Everything known at the end. Times in seconds."""

    cause: str
    code: int
    phase: str  # configure, build, run or end: where the machine was when it ended
    sentence: str  # for people
    detail: Mapping[str, Any] = {}
    console: bytes = b""  # the tail of what the guest printed
    started: float = 0.0  # seconds since the epoch
    wall: float = 0.0
    cpu: float = 0.0
    marks: Sequence[tuple[str, float]] = ()  # (name, seconds since the process started)
    counters: Mapping[str, Any] = {}
    losses: Sequence[Loss] = ()
    unused: Mapping[str, str] = {}  # devices no driver used, and the kernel option they need


def as_json(ending: Ending, name: str) -> dict[str, object]:
    """The report as a JSON object."""
    from datetime import UTC, datetime

    from vmm import __version__

    return {
        "schema": SCHEMA,
        "vmm": __version__,
        "name": name,
        "cause": ending.cause,
        "code": ending.code,
        "phase": ending.phase,
        "sentence": ending.sentence,
        "console": last_lines(ending.console),
        "lost": [as_dict(loss) for loss in ending.losses],
        "unused": dict(ending.unused),
        "timings": {
            "started": datetime.fromtimestamp(ending.started, UTC).isoformat(),
            "wall": round(ending.wall, 6),
            "cpu": round(ending.cpu, 6),
            "marks": [{"name": name, "at": round(at, 6)} for name, at in ending.marks],
        },
        "counters": dict(ending.counters),
        "detail": dict(ending.detail),
    }


def last_lines(tail: bytes, count: int = CONSOLE_LINES) -> list[str]:
    """The last lines of console output as text; bytes that are no UTF-8 show as \\x.. escapes."""
    lines = tail.decode(errors="backslashreplace").replace("\r", "").split("\n")
    while lines and not lines[-1]:
        lines.pop()
    return [line[:CONSOLE_LINE_MAX] for line in lines[-count:]]


def check_place(path: str) -> None:
    """HostError if a report could not be written to `path`, so that no guest runs in vain."""
    place = path if os.path.exists(path) else os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path):
        raise HostError(f"cannot write the exit report {path}: it is a directory")
    if not os.path.exists(place):
        raise HostError(f"cannot write the exit report {path}: there is no directory {place}")
    if not os.access(place, os.W_OK):
        raise HostError(f"cannot write the exit report {path}: no permission to write {place}")


def write_report(path: str, report: Mapping[str, object]) -> None:
    """Replaces `path` by the report, whole or not at all. Raises ReportError.

    A path that names something else than a file (a pipe, /dev/stdout) is written to as it is.
    """
    data = (json.dumps(report, indent=2, default=str) + "\n").encode()
    try:
        write_atomically(path, data)
    except OSError as error:
        raise ReportError(f"cannot write the exit report {path}: {error.strerror}") from error
