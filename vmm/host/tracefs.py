"""Reads one of the kernel's trace events, as far as this process causes it (Linux, tracefs).

An instance of its own (Documentation/trace/ftrace.rst) is made for it, so that nobody else's
tracing is disturbed. Needs root, and tracefs mounted.
"""

from __future__ import annotations

import os
import select

from vmm.threads import Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PLACES = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
WAIT = 0.05  # seconds between two looks
CHUNK = 1 << 16


class EventReader:
    """Calls `take(line)` for each line of trace_pipe, on a thread of its own, until close().

    `pause()` is called on that thread now and then, also when nothing comes.
    """

    def __init__(self, event: str, take: Callable[[str], None], pause: Callable[[], None]) -> None:
        """event: as "kvm/kvm_exit". Raises OSError if it cannot be read here."""
        self._take, self._pause = take, pause
        root = next((place for place in PLACES if os.path.isdir(f"{place}/instances")), PLACES[0])
        self._folder = f"{root}/instances/vmm-{os.getpid()}"
        self._enable = f"events/{event}/enable"
        os.mkdir(self._folder)
        try:
            self._write("trace_clock", "mono")
            self._write("options/event-fork", "1")  # threads that come later, too
            self._write("set_event_pid", " ".join(os.listdir("/proc/self/task")))
            self._write(self._enable, "1")
            self._pipe = os.open(f"{self._folder}/trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            os.rmdir(self._folder)
            raise
        self._left = b""
        self._ends = False
        self._thread = Thread(target=self._body, name="trace")
        self._thread.start()

    def _write(self, name: str, text: str) -> None:
        with open(f"{self._folder}/{name}", "w", encoding="ascii") as file:
            file.write(text)

    def _body(self) -> None:
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        while not self._ends:
            poll.poll(int(WAIT * 1000))
            self._read()
            self._pause()
        self._read()
        self._pause()

    def _read(self) -> None:
        try:
            while data := os.read(self._pipe, CHUNK):
                *lines, self._left = (self._left + data).split(b"\n")
                for line in lines:
                    self._take(line.decode("ascii", "replace"))
        except BlockingIOError:
            pass

    def close(self) -> None:
        """What has happened so far is taken first."""
        self._write(self._enable, "0")
        self._ends = True
        self._thread.join()
        os.close(self._pipe)
        os.rmdir(self._folder)
