"""The gate between the machine and its vCPU threads: closed, no vCPU is in the guest.

Each closing has one opening; a pause inside a reset nests. A vCPU that has hit an event which only
the machine can resolve (a reset, a crash) holds itself at the gate until it is released.
"""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Gate:
    """One condition variable; `total` vCPU threads pass or park."""

    def __init__(self, total: int) -> None:
        self.total = total
        lock = threading.Lock()
        self._changed = threading.Condition(lock)  # parked vCPUs wait here,
        self._full = threading.Condition(lock)  # and who closes here: one wake-up, not `total`
        self._closed = 1  # the machine opens it when everything is built
        self._stopped = False
        self._parked = 0
        self._nudges = 0
        self._held: set[int] = set()

    def close(self, kick: Callable[[], None]) -> None:
        """Returns when every vCPU is parked. `kick` gets them out of the guest."""
        with self._changed:
            self._closed += 1
        kick()
        with self._changed:
            while self._parked < self.total and not self._stopped:
                self._full.wait()

    def open(self) -> None:
        with self._changed:
            self._closed -= 1
            self._changed.notify_all()

    def hold(self, vcpu_id: int) -> None:
        """This vCPU does not run again before release(), whatever the gate says."""
        with self._changed:
            self._held.add(vcpu_id)

    def release(self, *vcpu_ids: int) -> None:
        """Ends the hold of these vCPUs; of all without any."""
        with self._changed:
            self._held.difference_update(vcpu_ids or tuple(self._held))
            self._changed.notify_all()

    def stop(self) -> None:
        """Every vCPU leaves for good."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            self._full.notify_all()

    def must_park(self, vcpu_id: int) -> bool:
        """Without the lock: a kick follows every change, so a stale answer is corrected."""
        return self._closed > 0 or self._stopped or vcpu_id in self._held

    def park(self, vcpu_id: int, commands: Callable[[], None]) -> bool:
        """Waits until the vCPU may run; False when it must end. Runs `commands` while parked."""
        with self._changed:
            self._parked += 1
            if self._parked == self.total:
                self._full.notify_all()
        while True:
            with self._changed:
                if not self._blocked(vcpu_id):
                    self._parked -= 1  # in the same breath: close() must never count it again
                    return not self._stopped
                seen = self._nudges
            commands()
            with self._changed:
                while self._blocked(vcpu_id) and self._nudges == seen:
                    self._changed.wait()

    def nudge(self) -> None:
        """Wakes parked vCPUs so that they look at their commands."""
        with self._changed:
            self._nudges += 1
            self._changed.notify_all()

    def _blocked(self, vcpu_id: int) -> bool:
        return not self._stopped and (self._closed > 0 or vcpu_id in self._held)

    @property
    def stopped(self) -> bool:
        return self._stopped

    @property
    def parked(self) -> int:
        """How many vCPUs are at the gate right now."""
        return self._parked
