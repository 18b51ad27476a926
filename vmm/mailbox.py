"""What must happen to a machine, and what ends it: one queue for the managing thread.

vCPU threads, the loop, signal handlers and the control socket never change a machine themselves:
they post here, and the managing thread takes one message after the other.
"""

from __future__ import annotations

import time
from _queue import Empty, SimpleQueue

from vmm.closing import raise_together
from vmm.errors import KvmError, VmmError
from vmm.outcome import Outcome, outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Message = Outcome | Callable[[], Outcome | None]  # the end, or what to do and may be the end

PANIC_GRACE = 0.5  # seconds in which the rest of a panic message may reach the console


class Mailbox:
    """`errors` are what threads failed with, the first cause first."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self._mail: SimpleQueue[Message] = SimpleQueue()
        self._deadline = float("inf")
        self._timeout: float | None = None
        self._late: Outcome | None = None  # what an expired deadline means, if not a timeout

    def post(self, message: Message) -> None:
        """Queues an outcome or an action for the managing thread. Any thread or signal handler."""
        self._mail.put(message)

    def fail(self, error: BaseException) -> None:
        """A thread's exception: the machine ends with it."""
        if error in self.errors:
            return
        self.errors.append(error)
        code = error.exit_code if isinstance(error, VmmError) else KvmError.exit_code
        self.post(Outcome(cause="error", code=code, detail={"error": str(error)}))

    def allow(self, timeout: float | None) -> None:
        """The machine ends `timeout` seconds from now; never by itself without."""
        self._timeout = timeout
        if timeout is not None:
            self._deadline = time.monotonic() + timeout

    def panic(self, ended: Outcome) -> None:
        """The guest panicked: ends soon, when the rest of its message is out."""
        if self._late is None:
            self._late = ended
            self._deadline = min(self._deadline, time.monotonic() + PANIC_GRACE)

    @property
    def panicked(self) -> bool:
        return self._late is not None

    def late_or(self, ended: Outcome) -> Outcome:
        """A guest that panicked and then powered off or reset itself has panicked."""
        return self._late or ended

    def take(self) -> Outcome | None:
        """Waits for one message and does what it says. The outcome, if that was the end."""
        try:
            left = self._deadline - time.monotonic()
            message = self._mail.get(timeout=None if left == float("inf") else max(left, 0))
            return message if isinstance(message, Outcome) else message()
        except Empty:
            return self._late or outcome("timeout", seconds=self._timeout)
        except Exception as error:
            self.fail(error)
            return None

    def raise_errors(self) -> None:
        """Raises what threads failed with, if any did."""
        raise_together("several threads failed", self.errors)
