"""A timer whose end is a function called on a loop's thread. For what happens now and then."""

from __future__ import annotations

import os

from vmm.native import check, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vmm.loop import IoLoop


class Alarm:
    """On the host's monotonic clock; a machine's pause does not stop it. Any thread may set it."""

    def __init__(self, loop: IoLoop, function: Callable[[], object]) -> None:
        self._loop, self._function = loop, function
        self._fd = check(lib.sys_timerfd(), "timerfd_create")
        try:
            self._token = loop.serve(self._fd, lib.EPOLLIN, self._ring)
        except BaseException:
            os.close(self._fd)
            raise

    def set(self, first: int, period: int = 0) -> None:
        """Goes off `first` nanoseconds from now, 0 for never; then each `period`, 0 for once."""
        check(lib.sys_timerfd_set(self._fd, first, period), "timerfd_settime")

    def _ring(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:  # set anew meanwhile
            return
        self._function()

    def close(self) -> None:
        """The function is not called any more. Not with a lock held that it takes."""
        self._loop.unserve(self._token)
        os.close(self._fd)
