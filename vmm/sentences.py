"""How errors reach the user: a sentence for each problem on stderr, and the exit code with it.

Imported only when there is something to tell.
"""

from __future__ import annotations

import sys
from errno import EDQUOT, EFBIG, ENOSPC

from vmm.errors import EXIT_HOST, EXIT_INTERNAL, EXIT_SIGNAL, ConfigError, VmmError


def explain(error: BaseException, who: str = "vmm") -> int:
    """Says what `error` means, first cause first, and returns the exit code that belongs to it."""
    first, *others = causes(error)
    for problem in problems_of(first):
        say(problem, who)
    for other in others:
        for problem in problems_of(other):
            say(f"also: {problem}", who)
    return exit_code(first)


def causes(error: BaseException) -> list[BaseException]:
    """The leaves of an exception group in order; any other error is its own cause."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in causes(inner)]
    return [error]


def problems_of(error: BaseException) -> tuple[str, ...]:
    """What to tell the user: a sentence for each problem."""
    if isinstance(error, ConfigError):
        return error.problems
    if isinstance(error, VmmError):
        return (str(error),)
    if isinstance(error, KeyboardInterrupt):
        return (str(error) or "interrupted",)
    if isinstance(error, OSError) and error.filename is not None:
        return (f"cannot use {error.filename}: {error.strerror}",)
    if _is_full(error):
        why = getattr(error, "strerror", "")
        return (f"writing failed: {why}; make room, or have the output go elsewhere",)
    return (f"internal error: {type(error).__name__}: {error}; --debug shows where",)


def exit_code(error: BaseException) -> int:
    """The process's exit code for `error`, from the table in vmm/errors.py."""
    if isinstance(error, VmmError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return EXIT_SIGNAL
    if (isinstance(error, OSError) and error.filename is not None) or _is_full(error):
        return EXIT_HOST
    return EXIT_INTERNAL


def _is_full(error: BaseException) -> bool:
    """A file takes no more: standard output, or one that was opened before."""
    return isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT, EFBIG)


def say(sentence: str, who: str = "vmm") -> None:
    """One line on stderr, if anybody still listens; control characters never reach a terminal."""
    line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in sentence)
    try:
        sys.stderr.write(f"{who}: {line}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass
