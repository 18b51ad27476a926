"""One virtio device in C, seen from the machine: its loop, its rests, what it reports.

vCPU threads change its registers, its loop's thread serves its rings (virtio.h). Whoever wants
it at rest asks the loop and waits, with no lock held.
"""

from __future__ import annotations

from time import monotonic

from vmm import log
from vmm.cdevice import read_state, write_state
from vmm.errors import StateError, VmmError
from vmm.native import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vmm.loop import IoLoop

    Notify = Callable[[str, dict[str, object]], None]

PATIENCE = 10_000  # ms until a device is said to be stuck: a host's disk may take its time
FAULTS = {
    lib.VIRTIO_FAULT_RING: "a ring that breaks the rules",
    lib.VIRTIO_FAULT_ADDRESS: "a queue whose size or address cannot be",
    lib.VIRTIO_FAULT_REQUEST: "a request that the device cannot take",
    lib.VIRTIO_FAULT_HOST: "a failure of the host",
}

NAMES = {
    lib.VIRTIO_EVENT_NEEDS_RESET: "DEVICE_NEEDS_RESET",
    lib.VIRTIO_EVENT_REFUSED: "DEVICE_REFUSED",
    lib.VIRTIO_EVENT_FAILED: "DEVICE_FAILED",
}


class VirtioCore:
    """`pointer` is the `struct virtio_dev *`, `loop` the one that owns it.

    What the driver does wrong is counted, and as often as the limiter lets it logged and passed to
    `notify(event, fields)`: DEVICE_NEEDS_RESET, DEVICE_REFUSED, DEVICE_FAILED.
    """

    def __init__(self, name: str, pointer: Any, loop: IoLoop, notify: Notify) -> None:
        self.name, self.pointer, self.loop, self.notify = name, pointer, loop, notify
        self.paused = False
        self._until: float | None = None  # when who halts it gives up
        self._events = {
            lib.VIRTIO_EVENT_NEEDS_RESET: self._needs_reset,
            lib.VIRTIO_EVENT_REFUSED: self._refused,
            lib.VIRTIO_EVENT_FAILED: self._failed,
        }
        self._limits = {kind: log.Limit("warning") for kind in self._events}
        for kind, callback in self._events.items():
            loop.on(kind, callback, ffi.cast("void *", pointer))

    # --- what the driver did, on the loop's thread

    def _needs_reset(self, fault: int, _source: object) -> None:
        why = FAULTS[fault]
        self._tell(lib.VIRTIO_EVENT_NEEDS_RESET, "virtio.needs_reset", why=why)

    def _refused(self, features: int, _source: object) -> None:
        if self.pointer is None:  # abandoned
            return
        bits = [bit for bit in range(64) if features >> bit & 1]
        declined = [bit for bit in bits if self.pointer.offered >> bit & 1]
        names = ", ".join(feature_name(bit) for bit in declined or bits)
        why = "it declined" if declined else "it accepted what was not offered:"
        why = f"{why} {names}" if bits else "its features do not go together"
        self._tell(lib.VIRTIO_EVENT_REFUSED, "virtio.driver_refused", why=why, features=bits)

    def _failed(self, _value: int, _source: object) -> None:
        self._tell(lib.VIRTIO_EVENT_FAILED, "virtio.driver_failed")

    def _tell(self, kind: int, name: str, **fields: object) -> None:
        """A line in the log and an event, at most as often as the guest may cause either."""
        swallowed = self._limits[kind].take(monotonic())
        if swallowed is None:
            return
        if swallowed:
            fields["swallowed"] = swallowed
        log.warning(name, dev=self.name, **fields)
        self.notify(NAMES[kind], {"device": self.name, **fields})

    # --- rest

    def ask_halt(self) -> None:
        """Begins `halt()`, so that several devices come to rest at the same time."""
        lib.virtio_ask_reset(self.pointer)
        if self._until is None:
            self._until = monotonic() + PATIENCE / 1000

    def halt(self) -> None:
        """Resets the device; nothing of the guest's memory is used from here on.

        VmmError if it is stuck. Patience begins when it is first asked: another try has none left.
        """
        self.ask_halt()
        assert self._until is not None
        self._wait(lib.virtio_wait_idle, "reset", self._until)
        self._until = None

    def pause(self) -> None:
        """Nothing is under way any more, nothing is taken from the rings until `resume()`."""
        lib.virtio_ask_pause(self.pointer)
        self._wait(lib.virtio_wait_quiet, "pause", monotonic() + PATIENCE / 1000)
        self.paused = True

    def resume(self) -> None:
        lib.virtio_ask_resume(self.pointer)
        self.paused = False

    def _wait(self, wait: Callable[[Any, int], int], what: str, until: float) -> None:
        if wait(self.pointer, 0) == 0:
            return
        started = self.loop.start_if_idle()
        try:
            if wait(self.pointer, max(0, int(1000 * (until - monotonic())))):
                raise VmmError(
                    f"{self.name} did not {what} within {PATIENCE // 1000} s: its loop "
                    f"{self.loop.name} is stuck, or the host is"
                )
        finally:
            if started:
                self.loop.stop()

    # --- state and counters

    def driven(self) -> bool:
        """Whether a driver ever made the device run."""
        return self.counters()["starts"] > 0

    def counters(self) -> dict[str, int]:
        counters = ffi.new("struct virtio_counters *")
        lib.virtio_counters(self.pointer, counters)
        ring = ffi.new("struct vq_counts *")
        total = {"chains": 0, "bytes": 0}
        for index in range(self.pointer.queue_count):
            lib.vq_counts(ffi.addressof(self.pointer.queue[index].vq), ring)
            total["chains"] += ring.chains
            total["bytes"] += ring.bytes
        return {name: getattr(counters, name) for name in dir(counters)} | total

    def save(self) -> dict[str, Any]:
        """StateError unless the device is idle or paused."""
        state = ffi.new("struct virtio_state *")
        if lib.virtio_save(self.pointer, state) < 0:
            raise StateError(f"{self.name} is at work; pause the machine before saving it")
        return read_state(state)

    def load(self, saved: dict[str, Any]) -> None:
        """Into a halted device, after its own state and its transport's.

        The rings are served from here on if they were. StateError if it does not fit.
        """
        state = ffi.new("struct virtio_state *")
        write_state(state, saved, self.name)
        if lib.virtio_load(self.pointer, state) < 0:
            raise StateError(f"The saved state of {self.name} does not fit this device")

    def close(self) -> None:
        """At rest for good, and silent: transport and device may be freed. May be repeated.

        VmmError if it does not come to rest.
        """
        if self.pointer is None:
            return
        self.halt()
        for kind in self._events:
            self.loop.off(kind, ffi.cast("void *", self.pointer))
        self.pointer = None

    def abandon(self) -> None:
        """It did not come to rest, and nobody waits for it any more: not for its events either,
        as whoever takes them off the loop waits for the callback that runs."""
        self.pointer = None


def feature_name(bit: int) -> str:
    """A transport feature by its name in the specification, others by number."""
    names = {
        lib.VIRTIO_RING_F_INDIRECT_DESC: "VIRTIO_F_INDIRECT_DESC",
        lib.VIRTIO_RING_F_EVENT_IDX: "VIRTIO_F_EVENT_IDX",
        lib.VIRTIO_F_VERSION_1: "VIRTIO_F_VERSION_1",
        lib.VIRTIO_F_ACCESS_PLATFORM: "VIRTIO_F_ACCESS_PLATFORM",
        lib.VIRTIO_F_RING_RESET: "VIRTIO_F_RING_RESET",
    }
    return names.get(bit, f"bit {bit}")
