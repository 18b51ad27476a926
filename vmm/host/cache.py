"""The cache folder: finished entries that appear at once, made by one process at a time.

An entry is a folder. It is filled under a temporary name while a lock is held and renamed when it
is complete, so whoever sees an entry sees all of it, and a killed run leaves only a temporary
folder that the next one removes. Nothing here ever changes a finished entry.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vmm.errors import HostError

TEMPORARY = ".new-"


def say(text: str) -> None:
    """One line of progress on stderr."""
    print(f"vmm: {text}", file=sys.stderr, flush=True)


def cache_dir() -> Path:
    """$VMM_CACHE, or vmm/ under $XDG_CACHE_HOME, or ~/.cache/vmm. Not created here."""
    chosen = os.environ.get("VMM_CACHE")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache").absolute() / "vmm"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the folder's lock; whoever has to wait says so once."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise HostError(
            f"cannot write the cache folder {folder} ({error.strerror}); "
            "set VMM_CACHE to a folder you may write"
        ) from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that is filling {folder}")
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def entry(name: str, fill: Callable[[Path], None], folder: Path | None = None) -> Path:
    """The finished entry `name`; made by `fill(empty temporary folder)` if it is not there yet."""
    folder = folder or cache_dir()
    path = folder / name
    if path.is_dir():
        return path
    with locked(folder):
        if path.is_dir():
            return path
        for left in folder.glob(f"{TEMPORARY}*"):
            shutil.rmtree(left, ignore_errors=True)
        temporary = folder / f"{TEMPORARY}{name}"
        temporary.mkdir()
        try:
            fill(temporary)
            temporary.rename(path)
        except OSError as error:
            raise HostError(f"cannot fill {path} ({error}); is the disk full?") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return path
