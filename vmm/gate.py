"""The gate between the machine and its vCPU threads: closed, no vCPU is in the guest.

Each closing has one opening; a pause inside a reset nests. A vCPU that has hit an event which only
the machine can resolve (a reset, a crash) holds itself at the gate until it is released.
"""

from __future__ import annotations

from vmm.threads import Condition, Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Gate:
    """`total` vCPU threads pass or park. One lock guards it all."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._lock = Lock()
        # Who closes waits for the last vCPU to park, and each vCPU for what concerns itself: 255 of
        # them on one condition variable would wake one another for nothing.
        self._full = Condition(self._lock)
        self._waits: dict[int, Condition] = {}
        self._closed = 1  # the machine opens it when everything is built
        self._stopped = False
        self._parked = 0
        self._nudges: dict[int, int] = {}
        self._held: set[int] = set()

    def close(self, kick: Callable[[], None]) -> None:
        """Returns when every vCPU is parked. `kick` gets them out of the guest."""
        with self._lock:
            self._closed += 1
        kick()
        with self._lock:
            while self._parked < self.total and not self._stopped:
                self._full.wait()

    def open(self) -> None:
        with self._lock:
            self._closed -= 1
            self._wake_all()

    def hold(self, vcpu_id: int) -> None:
        """This vCPU does not run again before release(), whatever the gate says."""
        with self._lock:
            self._held.add(vcpu_id)

    def release(self, *vcpu_ids: int) -> None:
        """Ends the hold of these vCPUs; of all without any."""
        with self._lock:
            self._held.difference_update(vcpu_ids or tuple(self._held))
            self._wake_all()

    def stop(self) -> None:
        """Every vCPU leaves for good."""
        with self._lock:
            self._stopped = True
            self._wake_all()
            self._full.notify_all()

    def must_park(self, vcpu_id: int) -> bool:
        """Without the lock: a kick follows every change, so a stale answer is corrected."""
        return self._closed > 0 or self._stopped or vcpu_id in self._held

    def park(self, vcpu_id: int, commands: Callable[[], None]) -> bool:
        """Waits until the vCPU may run; False when it must end. Runs `commands` while parked."""
        with self._lock:
            self._parked += 1
            changed = self._waits.setdefault(vcpu_id, Condition(self._lock))
            if self._parked == self.total:
                self._full.notify_all()
        while True:
            with self._lock:
                if not self._blocked(vcpu_id):
                    self._parked -= 1  # in the same breath: close() must never count it again
                    return not self._stopped
                seen = self._nudges.get(vcpu_id, 0)
            commands()
            with self._lock:
                while self._blocked(vcpu_id) and self._nudges.get(vcpu_id, 0) == seen:
                    changed.wait()

    def nudge(self, vcpu_id: int) -> None:
        """Wakes the vCPU, if it is parked, so that it looks at its commands."""
        with self._lock:
            self._nudges[vcpu_id] = self._nudges.get(vcpu_id, 0) + 1
            if vcpu_id in self._waits:
                self._waits[vcpu_id].notify_all()

    def _wake_all(self) -> None:
        for changed in self._waits.values():
            changed.notify_all()

    def _blocked(self, vcpu_id: int) -> bool:
        return not self._stopped and (self._closed > 0 or vcpu_id in self._held)

    @property
    def stopped(self) -> bool:
        return self._stopped

    @property
    def parked(self) -> int:
        """How many vCPUs are at the gate right now."""
        return self._parked
