"""The I/O loop: a thread inside lib.loop_run(), where C serves descriptors, timers and channels.

Python sees only what concerns it: events that C posted (a console escape, a panic line, a peer that
left), descriptors registered with serve(), and functions handed over with call(). Their callbacks
run on the loop's thread, one at a time, and the C side waits meanwhile, so they are short.
"""

from __future__ import annotations

from vmm.errors import VmmError
from vmm.native import check, ffi, lib, made
from vmm.threads import Event, RLock, Thread

ALIVE = 1.0  # s between looks whether a thread that owes an answer still lives

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")
    EventCallback = Callable[[int, Any], None]


def _raise(error: BaseException) -> None:
    raise error


class _Question:
    """A function that another thread calls, and what came of it."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._value: Any = None
        self._error: BaseException | None = None
        self.answered = Event()

    def answer(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:  # the asker's
            self._error = error
        self.answered.set()

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value


class IoLoop:
    """One loop and its thread. `pointer` is the C loop.

    A callback's exception goes to `on_failure`, and the loop goes on; by default it ends run().
    """

    def __init__(self, name: str = "io0") -> None:
        self.name = name
        self.pointer = made(lib.loop_create(), lib.loop_destroy, "the I/O loop")
        self.on_failure: Callable[[BaseException], None] = _raise
        # Held over a callback and over every change of the tables: what was removed cannot run
        # any more. Never remove a source while holding a lock that its callback takes.
        self._lock = RLock()
        self._events: dict[tuple[int, Any], EventCallback] = {}
        self._served: dict[int, tuple[int, Callable[[], object]]] = {}  # token -> handle, callback
        self._next_token = 1
        self._calls: list[Callable[[], object]] = []
        self._thread: Thread | None = None
        self._life = RLock()  # starting, stopping, and asking while neither happens

    # --- registering, from any thread

    def on(self, kind: int, callback: EventCallback, source: Any = None) -> None:
        """Calls `callback(value, source)` for events of `kind` (lib.LOOP_*).

        With a `source` (a C pointer) only for that one's, and in preference to a general callback.
        """
        with self._lock:
            self._events[kind, source] = callback

    def off(self, kind: int, source: Any = None) -> None:
        with self._lock:
            self._events.pop((kind, source), None)

    def serve(self, fd: int, events: int, callback: Callable[[], object]) -> int:
        """Calls `callback()` whenever `fd` has one of `events` (lib.EPOLLIN ...).

        Returns a token for unserve().
        Level-triggered: the callback takes what is there, or it is called again at once. The loop
        watches a duplicate, so `fd` may be closed at any time. KvmError if it cannot be polled.
        """
        with self._lock:
            token = self._next_token
            self._next_token += 1
            handle = check(
                lib.loop_add_call(self.pointer, fd, events, token), "epoll_ctl", f"descriptor {fd}"
            )
            self._served[token] = handle, callback
            return token

    def unserve(self, token: int) -> None:
        """The callback cannot run any more when this returns."""
        with self._lock:
            handle, _callback = self._served.pop(token, (-1, None))
        lib.loop_remove(self.pointer, handle)

    def call(self, function: Callable[[], object]) -> None:
        """Runs `function` once on the loop's thread, soon; returns at once."""
        with self._lock:
            self._calls.append(function)
        lib.loop_wake(self.pointer)

    def ask(self, function: Callable[[], T]) -> T:
        """What `function` returns or raises, run on the loop's thread; any thread may ask.

        While nobody is inside the loop, on the calling thread.
        """
        thread = self._thread
        if thread is not None and thread.is_current():
            return function()
        with self._life:
            thread = self._thread
            if thread is None:
                return function()
            question = _Question(function)
            self.call(question.answer)
        while not question.answered.wait(ALIVE):
            if not thread.is_alive() and not question.answered.is_set():
                raise VmmError(f"The loop {self.name} has ended; its failure says why")
        result: T = question.result()
        return result

    # --- running

    def start(self) -> None:
        """Runs the loop on a thread of its own that takes no signals."""
        with self._life:
            if self._thread is not None:
                raise VmmError(f"The loop {self.name} runs already")
            thread = Thread(target=self._thread_body, name=self.name)
            thread.start()
            self._thread = thread  # only now: one that could not start cannot be joined

    def start_if_idle(self) -> bool:
        """start(), unless it runs. Whether it did: then the caller stops it again."""
        if self._thread is not None:
            return False
        self.start()
        return True

    def _thread_body(self) -> None:
        lib.vcpu_thread_mask_signals()
        try:
            self.run()
        except Exception as error:
            self.on_failure(error)

    def run(self) -> None:
        """Serves until stop(). On the calling thread."""
        event = ffi.new("struct loop_event *")
        while True:
            check(lib.loop_run(self.pointer, event), "epoll_wait", self.name)
            if event.kind == lib.LOOP_STOPPED:
                return
            with self._lock:
                for callback in self._due(event):
                    try:
                        callback()
                    except Exception as error:
                        self.on_failure(error)

    def _due(self, event: Any) -> list[Callable[[], object]]:
        kind, value, source = event.kind, event.value, event.source
        if kind == lib.LOOP_WAKE:
            calls, self._calls = self._calls, []
            return calls
        if kind == lib.LOOP_CALL:
            served = self._served.get(value)
            return [] if served is None else [served[1]]
        found = self._events.get((kind, source)) or self._events.get((kind, None))
        return [] if found is None else [lambda: found(value, source)]

    def stop(self) -> None:
        """Ends run(); waits for the thread of start(). Queued events are served first."""
        lib.loop_stop(self.pointer)
        if self._thread is not None and self._thread.is_current():
            self._thread = None
            return
        with self._life:
            thread, self._thread = self._thread, None
            if thread is not None:
                thread.join()
            calls, self._calls = self._calls, []
            for call in calls:  # that came after the last turn
                call()

    def close(self) -> None:
        """Stops the thread if it runs and closes the C loop; whoever used it is closed already."""
        if self._thread is not None:
            self.stop()
        ffi.release(self.pointer)

    def counters(self) -> dict[str, int]:
        """Wake-ups, handlers called, events posted and refused since the start."""
        counters = ffi.new("struct loop_counters *")
        lib.loop_counters(self.pointer, counters)
        return {name: getattr(counters, name) for name in dir(counters)}


class IoLoops:
    """The I/O threads of a machine. The first serves consoles and whatever asks for no other."""

    def __init__(self, count: int) -> None:
        self.all = tuple(IoLoop(f"io{number}") for number in range(count))
        self._next = 1 % count  # the first has something to do already

    @property
    def first(self) -> IoLoop:
        return self.all[0]

    def take(self, number: int | None = None) -> IoLoop:
        """The loop of that number, or the next in turn. VmmError if there is none."""
        if number is None:
            number = self._next
            self._next = (number + 1) % len(self.all)
        if number >= len(self.all):
            raise VmmError(
                f"There is no I/O thread {number}: --io-threads {len(self.all)} makes "
                f"{len(self.all)}, counted from 0"
            )
        return self.all[number]

    def start(self, on_failure: Callable[[BaseException], None]) -> None:
        for loop in self.all:
            loop.on_failure = on_failure
            loop.start()

    def stop(self) -> None:
        for loop in self.all:
            loop.stop()

    def close(self) -> None:
        for loop in reversed(self.all):
            loop.close()
