"""Threads that can be joined, and what they wait on, from `_thread` alone.

`threading` imports functools and collections; with them it costs an eighth of all that `vmm boot`
does before the guest runs (docs/decisions/0003-start-up.md). What has a name of that module here
does the same in what vmm needs of it. To `threading` such a thread is one that somebody else made.
"""

from __future__ import annotations

import os
from _thread import RLock, get_ident, get_native_id, start_new_thread
from _thread import allocate_lock as Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _thread import LockType
    from collections.abc import Callable
    from typing import Any

__all__ = ["Condition", "Event", "Lock", "RLock", "Thread", "in_main_thread"]


def in_main_thread() -> bool:
    """Whether the caller is the thread that signal handlers run on."""
    return get_native_id() == os.getpid()


class Event:
    """Set at most once; any number of threads may wait for it."""

    def __init__(self) -> None:
        self._is_set = False
        self._closed = Lock()  # until it is set
        self._closed.acquire()

    def set(self) -> None:
        self._is_set = True
        self._closed.release()

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout: float = -1) -> bool:
        """Whether it was set within `timeout` seconds; -1 waits for ever."""
        if self._is_set:
            return True
        if not self._closed.acquire(timeout=timeout):
            return False
        self._closed.release()
        return True


class Thread:
    """Runs `target(*args)` once. The interpreter does not wait for it: whoever starts it joins.

    The kernel knows its name too: top -H and debuggers show it.
    """

    def __init__(
        self, target: Callable[..., object], name: str, args: tuple[Any, ...] = ()
    ) -> None:
        self.name = name
        self.ident: int | None = None  # once started
        self._target, self._args = target, args
        self._ended = Event()

    def start(self) -> None:
        """RuntimeError if the host gives no more threads."""
        self.ident = start_new_thread(self._run, ())

    def _run(self) -> None:
        self.ident = get_ident()  # the starting thread may be slower
        _tell_kernel(self.name)
        try:
            self._target(*self._args)
        finally:
            self._ended.set()

    def join(self, timeout: float = -1) -> None:
        """Waits for its end, at most `timeout` seconds unless -1. It must have been started."""
        self._ended.wait(timeout)

    def is_alive(self) -> bool:
        return self.ident is not None and not self._ended.is_set()

    def is_current(self) -> bool:
        return self.ident == get_ident()


def _tell_kernel(name: str) -> None:
    try:
        fd = os.open("/proc/thread-self/comm", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return  # no descriptor left, or no /proc: it is only a name
    os.write(fd, name.encode())
    os.close(fd)


class Condition:
    """What threads wait for that hold `lock`, until whoever has changed something says so."""

    def __init__(self, lock: LockType) -> None:
        self._lock = lock
        self._waiting: list[Event] = []

    def wait(self) -> None:
        """Lets go of the lock meanwhile. A wake-up promises nothing: look again."""
        called = Event()
        self._waiting.append(called)
        self._lock.release()
        try:
            called.wait()
        finally:
            self._lock.acquire()

    def notify_all(self) -> None:
        """With the lock held."""
        waiting, self._waiting = self._waiting, []
        for called in waiting:
            called.set()
