"""Writing files of the host: all of it or nothing, and those of sysfs that may never return."""

from __future__ import annotations

import os
import select
import signal
import stat

OPEN_FILES = ("/dev/fd/", "/dev/stdout", "/dev/stderr", "/proc/")
PATIENCE = 30.0  # seconds for a driver to let go of a device, or to take it


def write_atomically(path: str, data: bytes, mode: int = 0o644) -> None:
    """`path` afterwards holds `data`, or what it held before and OSError says why."""
    if _is_special(path):
        _write_all(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC), data)
        return
    target = os.path.realpath(path)
    temporary = f"{target}.{os.urandom(6).hex()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, mode)
    try:
        _write_all(fd, data, sync=True)
        os.rename(temporary, target)
    except OSError:
        os.unlink(temporary)
        raise


def _is_special(path: str) -> bool:
    """What a rename must not replace: devices, pipes, and files that are open under a number."""
    if path.startswith(OPEN_FILES):
        return True
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def _write_all(fd: int, data: bytes, sync: bool = False) -> None:
    try:
        while data:
            data = data[os.write(fd, data) :]
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def write_bounded(path: str, text: str, patience: float = PATIENCE) -> None:
    """Writes `text` to a file of sysfs. TimeoutError after `patience` seconds, OSError as it comes.

    A driver that does not let go of its device holds whoever asks it to for ever, and no signal
    helps: so a child asks, and is left behind when it does not come back.
    """
    ended, held = os.pipe()  # what fails here, or in fork(), has written nothing
    try:
        pid = os.fork()
    except OSError:
        os.close(ended)
        os.close(held)
        raise
    if pid == 0:
        code = 255
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            os.write(fd, text.encode())
            code = 0
        except OSError as error:
            code = error.errno or code
        finally:
            os._exit(code)
    os.close(held)  # the child has the other one, until it ends
    try:
        poll = select.poll()
        poll.register(ended, select.POLLHUP)
        if not poll.poll(patience * 1000):
            os.kill(pid, signal.SIGKILL)
            raise TimeoutError(f"{path} did not answer within {patience:g} s")
    finally:
        os.close(ended)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise OSError(code, os.strerror(code), path)
