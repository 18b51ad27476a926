"""UNIX stream sockets by path: listening on one without stealing it, calling one.

`_socket` is used directly: `socket` itself imports more than the rest of a start needs.
"""

from __future__ import annotations

import _socket
import os
import stat

from vmm.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SUN_PATH_MAX = 107  # bytes of a path, its terminator apart (unix(7))


def listen(path: str, purpose: str) -> tuple[int, Callable[[], None]]:
    """A non-blocking listening descriptor, and what removes the path again if it is still ours.

    Only this user may connect. A socket that nobody listens on any more is replaced. HostError,
    with `purpose` in its sentence, if the path cannot be had.
    """
    _remove_stale(path, purpose)
    listener = _new(path, purpose)
    try:
        os.fchmod(listener.fileno(), 0o600)  # before bind() gives the path this mode
        listener.bind(path)
        listener.listen(1)
        made = os.stat(path)
    except OSError as error:
        listener.close()
        raise _failed("Listening on", path, purpose, error) from error
    listener.setblocking(False)
    return listener.detach(), lambda: _unlink_if(path, made.st_dev, made.st_ino)


def connect(path: str, purpose: str) -> int:
    """A connected non-blocking descriptor. HostError if nobody answers."""
    caller = _new(path, purpose)
    try:
        caller.connect(path)
    except OSError as error:
        caller.close()
        advice = "; start the listener first"
        raise _failed("Connecting to", path, purpose, error, advice) from error
    caller.setblocking(False)
    return caller.detach()


def _failed(what: str, path: str, purpose: str, error: OSError, advice: str = "") -> HostError:
    return HostError(f"{what} {path} for {purpose} failed: {error.strerror}{advice}")


def _new(path: str, purpose: str) -> _socket.socket:
    if len(os.fsencode(path)) > SUN_PATH_MAX:
        raise HostError(
            f"The socket path for {purpose} is longer than {SUN_PATH_MAX} bytes: {path}; "
            "use a shorter one"
        )
    return _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)


def _remove_stale(path: str, purpose: str) -> None:
    """Unlinks a socket without a listener. HostError if the path is otherwise taken."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return  # bind() says what is wrong, if anything is
    if not stat.S_ISSOCK(mode):
        raise HostError(f"{path} is there already and is not a socket; remove it or name another")
    probe = _new(path, purpose)
    try:
        probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)
    except OSError as error:
        raise _failed("Listening on", path, purpose, error) from error
    else:
        raise HostError(f"Another process listens on {path}; name another socket for {purpose}")
    finally:
        probe.close()


def _unlink_if(path: str, device: int, inode: int) -> None:
    try:
        now = os.stat(path)
        if (now.st_dev, now.st_ino) == (device, inode):
            os.unlink(path)
    except OSError:
        return  # somebody was faster
