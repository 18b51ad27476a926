"""Log lines: `log.event("vcpu.kicked", vcpu=0)`. Always stderr, never the guest's console.

structlog costs more to import than a machine costs to start, so it is imported with the first line
that is really logged. Levels: `debug` every step, `info` the life of the machine, `warning` what a
user should look at, `error` what failed. What a guest can cause must go through `limited`.
"""

from __future__ import annotations

import sys
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from typing import Any

    Sink = Callable[[str], object]

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
BURST = 8  # lines of one call site that pass ...
INTERVAL = 5.0  # ... in this many seconds
OWN_KEYS = ("event", "level", "timestamp")


class Logger:
    """Writes events with fields; `bind` makes a child that adds fields to each of its lines."""

    def __init__(
        self,
        level: str = "warning",
        format: str = "auto",
        sink: Sink | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.threshold = LEVELS[level]
        self.fields: dict[str, object] = {}
        self._writer = _Writer(format, sink)
        self._limits: dict[tuple[str, int, str], Limit] = {}
        self._clock = clock

    def bind(self, **fields: object) -> Logger:
        """A logger that shares this one's output and limits and adds `fields` to each line."""
        child = Logger.__new__(Logger)
        child.__dict__.update(self.__dict__)
        child.fields = {**self.fields, **fields}
        return child

    def event(self, name: str, /, **fields: object) -> None:
        """A step in the machine's life (level info)."""
        self._log("info", name, fields)

    def debug(self, name: str, /, **fields: object) -> None:
        self._log("debug", name, fields)

    def warning(self, name: str, /, **fields: object) -> None:
        self._log("warning", name, fields)

    def error(self, name: str, /, **fields: object) -> None:
        self._log("error", name, fields)

    def limited(
        self, name: str, /, level: str = "warning", depth: int = 1, **fields: object
    ) -> None:
        """A line the guest can cause: a few per call site and interval, the others counted.

        The next line of that site that passes carries the count as `swallowed`. `depth` counts
        the frames between here and the call site.
        """
        if LEVELS[level] < self.threshold:
            return
        frame = sys._getframe(depth)
        site = (frame.f_code.co_filename, frame.f_lineno, name)
        limit = self._limits.get(site)
        if limit is None:
            limit = self._limits.setdefault(site, Limit(level))
        swallowed = limit.take(self._clock())
        if swallowed is None:
            return
        if swallowed:
            fields = {**fields, "swallowed": swallowed}
        self._log(level, name, fields)

    def close(self) -> None:
        """Reports what the limiter still holds back. Lines may follow; nothing is torn down."""
        for (_file, _line, name), limit in list(self._limits.items()):
            swallowed, limit.swallowed = limit.swallowed, 0
            if swallowed:
                self._log(limit.level, name, {"swallowed": swallowed})

    def _log(self, level: str, name: str, fields: dict[str, object]) -> None:
        if LEVELS[level] >= self.threshold:
            self._writer.write(level, name, {**self.fields, **fields})


class Limit:
    """One call site's allowance. Races between threads can only miscount, never block."""

    def __init__(self, level: str) -> None:
        self.level = level
        self.since = float("-inf")
        self.passed = 0
        self.swallowed = 0

    def take(self, now: float) -> int | None:
        """How many lines were held back since the last; None: hold this one back too."""
        if now - self.since >= INTERVAL:
            self.since, self.passed = now, 0
        if self.passed >= BURST:
            self.swallowed += 1
            return None
        self.passed += 1
        swallowed, self.swallowed = self.swallowed, 0
        return swallowed


class _Writer:
    """The output shared by a logger and its children; builds structlog at the first line."""

    def __init__(self, format: str, sink: Sink | None) -> None:
        self.format = format
        self.sink = sink or _write_stderr
        self._logger: Any = None

    def write(self, level: str, name: str, fields: dict[str, object]) -> None:
        if self._logger is None:
            self._logger = self._build()
        getattr(self._logger, level)(name, **_without_clash(fields))

    def _build(self) -> Any:
        import structlog

        console = self.format == "console" or (self.format == "auto" and _stderr_is_terminal())
        render: Any = (
            structlog.dev.ConsoleRenderer(colors=_stderr_is_terminal(), pad_event_to=0)
            if console
            else structlog.processors.JSONRenderer(default=str)
        )
        return structlog.wrap_logger(
            _Lines(self.sink),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=not console),
                structlog.processors.format_exc_info,
                _printable if console else _unchanged,
                render,
            ],
            wrapper_class=structlog.BoundLogger,
        )


class _Lines:
    """What structlog calls with a rendered line."""

    def __init__(self, sink: Sink) -> None:
        self.debug = self.info = self.warning = self.error = sink


def _without_clash(fields: dict[str, object]) -> dict[str, object]:
    """Fields that structlog fills itself get an underscore."""
    return {f"{key}_" if key in OWN_KEYS else key: value for key, value in fields.items()}


def _printable(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> Any:
    """Texts may come from the guest: no control character reaches the terminal."""
    return {
        key: value if not isinstance(value, str) or value.isprintable() else repr(value)
        for key, value in fields.items()
    }


def _unchanged(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> Any:
    return fields


def _stderr_is_terminal() -> bool:
    import os

    try:
        return os.isatty(2)
    except OSError:
        return False


def _write_stderr(line: str) -> None:
    """One write per line, straight to the fd, so that lines of several threads never mix."""
    import os

    data = (line + "\n").encode(errors="backslashreplace")
    try:
        while data:
            data = data[os.write(2, data) :]
    except OSError:
        pass  # nobody listens; the guest runs on


# The process's own logger: devices and threads have no other way to it. Nothing else is shared.
_root = Logger()


def configure(level: str, format: str, lead: Callable[[], str] = str) -> None:
    """What `--log-level` and `--log-format` say; once, before the machine is built.

    What `lead` returns comes before each line.
    """
    global _root  # noqa: PLW0603 - the one place that sets it
    _root = Logger(level, format, lambda line: _write_stderr(lead() + line))


def bind(**fields: object) -> Logger:
    return _root.bind(**fields)


def event(name: str, /, **fields: object) -> None:
    _root.event(name, **fields)


def debug(name: str, /, **fields: object) -> None:
    _root.debug(name, **fields)


def warning(name: str, /, **fields: object) -> None:
    _root.warning(name, **fields)


def error(name: str, /, **fields: object) -> None:
    _root.error(name, **fields)


def limited(name: str, /, level: str = "warning", **fields: object) -> None:
    _root.limited(name, level, 2, **fields)


def close() -> None:
    _root.close()
