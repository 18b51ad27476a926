"""How a machine ends: one cause, one process exit code, and what is known about it."""

from __future__ import annotations

from vmm import errors
from vmm.record import Record

CAUSES = {
    "power-off": errors.EXIT_OK,
    "reset": errors.EXIT_RESET,
    "crash": errors.EXIT_CRASH,
    "panic": errors.EXIT_PANIC,
    "timeout": errors.EXIT_TIMEOUT,
    "stopped": errors.EXIT_OK,  # the control socket, the console escape or the library said so
}


class Outcome(Record):
    """`cause`: a key of CAUSES, "debug-exit", "signal" or "error", `code` the exit code."""

    cause: str
    code: int
    detail: dict[str, object] = {}


def outcome(cause: str, **detail: object) -> Outcome:
    """An Outcome whose code follows from its cause."""
    return Outcome(cause=cause, code=CAUSES[cause], detail=detail)


def debug_exit(value: int) -> Outcome:
    """isa-debug-exit: the code is (value << 1) | 1, of which the shell sees eight bits."""
    return Outcome(cause="debug-exit", code=(value << 1 | 1) & 0xFF, detail={"value": value})


def signalled(number: int) -> Outcome:
    """A signal told the VMM to end; `detail` names it."""
    import signal

    name = signal.Signals(number).name
    return Outcome(cause="signal", code=errors.EXIT_SIGNAL, detail={"signal": name})
