"""What happened to the machine, for whoever asks later and whoever listens now."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

KEPT = 256

Listener = Callable[[dict[str, object]], None]


class EventLog:
    """The last `KEPT` events, numbered from 1. `emit` may be called from any thread.

    Appending to a deque and calling the listener are the only steps, so no lock is needed: the
    listener itself hands the event to its own thread.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._events: deque[dict[str, object]] = deque(maxlen=KEPT)
        self._numbers = iter(range(1, 1 << 63))
        self._clock = clock
        self.listener: Listener | None = None

    def emit(self, name: str, data: dict[str, object] | None = None) -> None:
        """Records `name` (upper case, as QMP writes it) with its time and tells the listener."""
        micro = int(self._clock() * 1_000_000)
        event: dict[str, object] = {
            "seq": next(self._numbers),
            "event": name,
            "data": data or {},
            "timestamp": {"seconds": micro // 1_000_000, "microseconds": micro % 1_000_000},
        }
        self._events.append(event)
        if self.listener is not None:
            self.listener(event)

    def since(self, number: int) -> list[dict[str, object]]:
        """Events with a number above `number`, oldest first, as far as they are still kept."""
        return [event for event in list(self._events) if int(str(event["seq"])) > number]
