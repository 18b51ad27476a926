"""The command `vmm`. `vmm boot` takes the lean way; help and every other command go through click.

Whatever goes wrong becomes sentences on stderr and an exit code here, and nowhere else.
"""

from __future__ import annotations

import sys

from vmm.errors import EXIT_HOST, EXIT_INTERNAL, EXIT_SIGNAL, ConfigError, VmmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command `argv` (default: this process's) and returns the exit code."""
    reserve_descriptors()
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words[: words.index("--")] if "--" in words else "--debug" in words
    return guarded(lambda: _dispatch(words), debug)


def reserve_descriptors() -> None:
    """Opens /dev/null where stdin, stdout or stderr is closed.

    Otherwise the next descriptor opened, a VM's or a disk's, would take that number, and whoever
    writes to stdout would write there.
    """
    import os

    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            try:
                os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: fd
            except OSError:
                return  # no /dev/null either: as good as it gets


def _dispatch(words: list[str]) -> int:
    if words[:1] == ["boot"]:
        from vmm.cli.boot import boot

        return boot(words[1:])
    from vmm.cli.main import run

    return run(words)


def guarded(command: Callable[[], int], debug: bool = False) -> int:
    """The exit code of `command`; exceptions become sentences, tracebacks show in `debug`."""
    try:
        code = command()
        if sys.stdout is not None:
            sys.stdout.flush()  # a reader that has left shows here, not at the interpreter's end
        return code
    except BrokenPipeError:
        _silence_stdout()
        return EXIT_SIGNAL
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:
        if debug:
            import traceback

            traceback.print_exc()
        return explain(error)


def explain(error: BaseException) -> int:
    """Says what `error` means, first cause first, and returns the exit code that belongs to it."""
    first, *others = causes(error)
    for problem in problems_of(first):
        say(problem)
    for other in others:
        for problem in problems_of(other):
            say(f"also: {problem}")
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
    return (f"internal error: {type(error).__name__}: {error}; --debug shows where",)


def exit_code(error: BaseException) -> int:
    if isinstance(error, VmmError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return EXIT_SIGNAL
    if isinstance(error, OSError) and error.filename is not None:
        return EXIT_HOST
    return EXIT_INTERNAL


def say(sentence: str) -> None:
    """One line on stderr, if anybody still listens; control characters never reach a terminal."""
    line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in sentence)
    try:
        sys.stderr.write(f"vmm: {line}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass


def _silence_stdout() -> None:
    """Points stdout at /dev/null, so that the interpreter's last flush finds somebody to listen."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    sys.exit(main())
