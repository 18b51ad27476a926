"""The command `vmm`. `vmm boot` takes the lean way; help and every other command go through click.

Whatever goes wrong becomes sentences on stderr and an exit code here, and nowhere else.
"""

from __future__ import annotations

import sys
from _signal import (  # type: ignore[import-not-found]
    SIG_DFL,
    SIG_IGN,
    SIGINT,
    default_int_handler,
    getsignal,
    signal,
)

from vmm.errors import EXIT_SIGNAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command `argv` (default: this process's) and returns the exit code."""
    if getsignal(SIGINT) == SIG_DFL:
        signal(SIGINT, default_int_handler)  # from here on Ctrl-C is an exception
    reserve_descriptors()
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words[: words.index("--")] if "--" in words else "--debug" in words
    return guarded(lambda: _dispatch(words), debug, "vmm lab" if "lab" in words[:2] else "vmm")


def command() -> NoReturn:
    """`vmm` as a process of its own, from its launcher: `boot` starts lean, and all end at once.

    By then everything is closed; to take the interpreter apart, module by module, would cost half
    of what starting it did.
    """
    from posix import _exit

    code = _lean_boot() if sys.argv[1:2] == ["boot"] else main()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    finally:
        _exit(code)


def _lean_boot() -> int:
    import gc

    from vmm.bundle import Bundle

    gc.disable()  # until the guest runs (vmm/control/run.py)
    here = __file__.rpartition("/")[0]
    kind = f"{sys.implementation.cache_tag}.{sys.flags.optimize}"  # asserts or none, as .pyc files
    file = f"{here}/__pycache__/boot.{kind}.bundle"
    bundle = Bundle("vmm", here.rpartition("/")[0], file)
    sys.meta_path.insert(0, bundle)
    bundle.run()
    code = main()
    signal(SIGINT, SIG_IGN)  # all is told: nothing is left that could be interrupted
    bundle.update()
    return code


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
            if fd == 1 and sys.stdout is None:
                sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _dispatch(words: list[str]) -> int:
    if words[:1] == ["boot"]:
        from vmm.cli.boot import boot

        return boot(words[1:])
    from vmm.cli.main import run

    return run(words)


def guarded(command: Callable[[], int], debug: bool = False, who: str = "vmm") -> int:
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
        from vmm.sentences import explain

        return explain(error, who)


def _silence_stdout() -> None:
    """Points stdout at /dev/null, so that the interpreter's last flush finds somebody to listen."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    sys.exit(main())
