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
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words[: words.index("--")] if "--" in words else "--debug" in words
    return guarded(lambda: _dispatch(words), debug)


def _dispatch(words: list[str]) -> int:
    if words[:1] == ["boot"]:
        from vmm.cli.boot import boot

        return boot(words[1:])
    from vmm.cli.main import run

    return run(words)


def guarded(command: Callable[[], int], debug: bool = False) -> int:
    """The exit code of `command`; exceptions become sentences, tracebacks show in `debug`."""
    try:
        return command()
    except BrokenPipeError:
        _silence_stdout()
        return EXIT_SIGNAL
    except KeyboardInterrupt:
        say("interrupted")
        return EXIT_SIGNAL
    except Exception as error:
        if debug:
            import traceback

            traceback.print_exc()
        return explain(error)


def explain(error: BaseException) -> int:
    """Says what `error` means, first cause first, and returns the exit code that belongs to it."""
    first, *others = list(causes(error))
    code = _say_error(first)
    for other in others:
        _say_error(other, "also: ")
    return code


def causes(error: BaseException) -> list[BaseException]:
    """The leaves of an exception group in order; any other error is its own cause."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in causes(inner)]
    return [error]


def _say_error(error: BaseException, lead: str = "") -> int:
    if isinstance(error, ConfigError):
        for problem in error.problems:
            say(lead + problem)
        return error.exit_code
    if isinstance(error, VmmError):
        say(lead + str(error))
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        say(lead + "interrupted")
        return EXIT_SIGNAL
    if isinstance(error, OSError) and error.filename is not None:
        say(f"{lead}cannot use {error.filename}: {error.strerror}")
        return EXIT_HOST
    say(f"{lead}internal error: {type(error).__name__}: {error}; --debug shows where")
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
