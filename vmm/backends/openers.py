"""How each kind of console but stdio is opened on the host; see vmm/backends/chardev.py.

An opener attaches what it opened to the channel and leaves there what must be done when it closes.
Errors name the channel's purpose: "the console", or a port.
"""

from __future__ import annotations

import os
import stat

from vmm.errors import HostError
from vmm.native import Fd
from vmm.texts import read_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vmm.backends.chardev import Chan

OPEN = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def _failed(path: str, chan: Chan, error: OSError) -> HostError:
    return HostError(f"Opening {path} for {chan.purpose} failed: {error.strerror}")


def open_null(chan: Chan, _path: str) -> None:
    chan.attach(-1, -1)


def open_pty(chan: Chan, _path: str) -> None:
    import termios

    from vmm.host.tty import raw_attributes

    try:
        master, slave = os.openpty()
    except OSError as error:
        raise _failed("a pseudo-terminal", chan, error) from error
    # Held open: a master without slave reports a hang-up, and what it had buffered is gone.
    chan.slave = Fd(slave)
    chan.own(chan.slave.close)
    attributes = raw_attributes(termios.tcgetattr(slave))
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    os.set_blocking(master, False)
    chan.path = os.ttyname(slave)
    chan.attach(master, master)


def open_file(chan: Chan, path: str) -> None:
    """Output only. A FIFO neither waits for its reader nor fails without one."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    try:
        if stat.S_ISFIFO(os.stat(path).st_mode):
            flags = os.O_RDWR
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _failed(path, chan, error) from error
    try:
        fd = os.open(path, flags | OPEN, 0o644)
    except OSError as error:
        raise _failed(path, chan, error) from error
    chan.path = path
    chan.attach(-1, fd)


def open_socket(chan: Chan, path: str) -> None:
    from vmm.backends import unixsocket

    fd, forget = unixsocket.listen(path, chan.purpose)
    chan.own(forget)
    chan.path = path
    chan.listen(fd)


def open_connect(chan: Chan, path: str) -> None:
    from vmm.backends import unixsocket

    fd = unixsocket.connect(path, chan.purpose)
    chan.path = path
    chan.attach(fd, fd)


def open_pipe(chan: Chan, path: str) -> None:
    """Two FIFOs: the host writes to PATH.in and reads from PATH.out.

    Those that are not there are made, and removed again. Both are opened for reading and writing,
    so that neither side waits for the other or ends with it.
    """
    ends: list[int] = []
    try:
        for name in (f"{path}.in", f"{path}.out"):
            ends.append(_open_fifo(chan, name))
    except BaseException:
        for fd in ends:
            os.close(fd)
        raise
    chan.path = path
    chan.attach(*ends)


def _open_fifo(chan: Chan, path: str) -> int:
    try:
        try:
            os.mkfifo(path, 0o600)
            chan.own(lambda: _remove(path))
        except FileExistsError:
            if not stat.S_ISFIFO(os.stat(path).st_mode):
                raise HostError(
                    f"{path} is there already and is not a FIFO; remove it or name another"
                ) from None
        return os.open(path, os.O_RDWR | OPEN)
    except OSError as error:
        raise _failed(path, chan, error) from error


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return  # somebody was faster


def open_fd(chan: Chan, path: str) -> None:
    """An inherited descriptor, the channel's from here on; its mode says which way."""
    from fcntl import F_GETFL, F_SETFD, FD_CLOEXEC, fcntl

    fd = int(path)
    try:
        mode = fcntl(fd, F_GETFL) & os.O_ACCMODE
        fcntl(fd, F_SETFD, FD_CLOEXEC)
    except OSError as error:
        raise HostError(
            f"Descriptor {fd}, named for {chan.purpose}, cannot be used: {error.strerror}; "
            "open it in the process that starts this one"
        ) from error
    chan.own(lambda: os.close(fd))
    chan.path = f"descriptor {fd}"
    chan.attach_shared(fd if mode != os.O_WRONLY else -1, fd if mode != os.O_RDONLY else -1)


def open_ring(chan: Chan, _size: str) -> None:
    """Output stays in memory until Chan.take() fetches it; input comes from Chan.feed()."""
    read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    chan.own(lambda: os.close(write_end))
    chan.feeder = write_end
    chan.keep(read_end)


def ring_size(text: str) -> int:
    """Bytes that a ring keeps."""
    return read_size(text) if text else RING_SIZE


RING_SIZE = 64 << 10
OPENERS: dict[str, Callable[[Chan, str], None]] = {
    "null": open_null,
    "pty": open_pty,
    "file": open_file,
    "socket": open_socket,
    "connect": open_connect,
    "pipe": open_pipe,
    "fd": open_fd,
    "ring": open_ring,
}
