"""The domain's timers that KVM does not keep: watchdogs, and periodic timers of vCPUs."""

from __future__ import annotations

from vmm.alarm import Alarm
from vmm.closing import close_all
from vmm.threads import Lock
from vmm.xen import abi
from vmm.xen.abi import XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vmm.loop import IoLoop

WATCHDOGS = 2  # NR_DOMAIN_WATCHDOG_TIMERS
SECOND = 10**9


class Watchdogs:
    """Each ends the domain when it is not set again in time. Any thread.

    `on_end()` is called on the loop's thread.
    """

    def __init__(self, loop: IoLoop) -> None:
        self.on_end: Callable[[], None] = lambda: None
        self._loop = loop
        self._lock = Lock()  # guards the rest
        self._used = [False] * WATCHDOGS
        self._alarms: list[Alarm] = []

    def set(self, number: int, seconds: int) -> int:
        """0 for a new one, whose number from 1 on is the result; seconds 0 ends one."""
        with self._lock:
            if number > WATCHDOGS:
                raise XenError(abi.EINVAL)
            if not number:
                return self._begin(seconds)
            if not self._used[number - 1]:
                raise XenError(abi.EINVAL)
            self._used[number - 1] = bool(seconds)
            self._alarms[number - 1].set(seconds * SECOND)
            return 0

    def _begin(self, seconds: int) -> int:
        if all(self._used):
            raise XenError(abi.ENOSPC)
        while len(self._alarms) < WATCHDOGS:
            self._alarms.append(Alarm(self._loop, self._end))
        free = self._used.index(False)
        self._used[free] = True
        self._alarms[free].set(max(seconds * SECOND, 1))
        return free + 1

    def _end(self) -> None:
        self.on_end()

    def reset(self) -> None:
        with self._lock:
            self._used = [False] * WATCHDOGS
            for alarm in self._alarms:
                alarm.set(0)

    def close(self) -> None:
        close_all(alarm.close for alarm in self._alarms)
        self._alarms.clear()


class PeriodicTimers:
    """One for each vCPU that wants it. `tell(vcpu)` is called on the loop's thread."""

    def __init__(self, loop: IoLoop, tell: Callable[[int], None]) -> None:
        self._loop, self._tell = loop, tell
        self._lock = Lock()  # guards the rest
        self._alarms: dict[int, Alarm] = {}

    def set(self, vcpu: int, period: int) -> None:
        """In nanoseconds; 0 ends it."""
        with self._lock:
            if vcpu not in self._alarms:
                if not period:
                    return
                self._alarms[vcpu] = Alarm(self._loop, lambda: self._tell(vcpu))
            self._alarms[vcpu].set(period, period)

    def reset(self) -> None:
        for vcpu in list(self._alarms):
            self.set(vcpu, 0)

    def close(self) -> None:
        close_all(alarm.close for alarm in self._alarms.values())
        self._alarms.clear()
