"""A vCPU thread: calls lib.vcpu_run(), hands events to the machine, runs queued commands.

KVM's vCPU ioctls block while the vCPU is in KVM_RUN, also while it waits for its SIPI. Whoever
wants one done therefore queues a command: it runs on this thread between two KVM_RUNs, at once if
parked.
"""

from __future__ import annotations

from _queue import Empty, SimpleQueue
from time import monotonic_ns

from vmm.errors import StateError
from vmm.native import check, ffi, lib, made
from vmm.schedule import Schedule
from vmm.threads import Event, Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vmm.gate import Gate
    from vmm.kvm.vcpu import KvmVcpu


class Command:
    """Something to do on a vCPU's thread; `wait` gives its result or raises what it raised."""

    def __init__(
        self, function: Callable[[], Any], wake: SimpleQueue[Command] | None = None
    ) -> None:
        """wake: where to put a command that does nothing when this one is done."""
        self.function = function
        self._wake = wake
        self.result: Any = None
        self.error: BaseException | None = None
        self._done = Event()

    def run(self) -> None:
        try:
            self.result = self.function()
        except BaseException as error:  # the waiter raises it
            self.error = error
        self._end()

    def cancel(self) -> None:
        self.error = StateError("The vCPU has stopped; the command was not carried out")
        self._end()

    def _end(self) -> None:
        self._done.set()
        if self._wake is not None:
            self._wake.put(Command(lambda: None))

    def done(self) -> bool:
        return self._done.is_set()

    def wait(self) -> Any:
        self._done.wait()
        if self.error is not None:
            raise self.error
        return self.result


class Vcpu:
    """One vCPU and its thread. `on_event(vcpu, event)` is called for each event, on the thread."""

    def __init__(self, kvm: KvmVcpu, core: Any, run_size: int, ring_page: int) -> None:
        self.kvm, self.id = kvm, kvm.id
        pointer = lib.vcpu_create(core, kvm.fd.number, self.id, run_size, ring_page)
        self.pointer = made(pointer, lib.vcpu_destroy, f"vCPU {self.id}", core)
        self._commands: SimpleQueue[Command] = SimpleQueue()
        self._thread: Thread | None = None
        self._ended = False
        self.schedule = Schedule()
        self.on_event: Callable[[Vcpu, Any], None] = lambda _vcpu, _event: None
        self.on_failure: Callable[[BaseException], None] = lambda _error: None

    def start(self, gate: Gate) -> None:
        thread = Thread(target=self._body, args=(gate,), name=f"vcpu{self.id}")
        thread.start()
        self._thread = thread  # only now: one that could not start cannot be joined

    def _body(self, gate: Gate) -> None:
        event = ffi.new("struct vcpu_event *")
        self.schedule.begin()
        try:
            check(lib.vcpu_thread_begin(self.pointer), "timer_create", f"vCPU {self.id}")
            while self._pass(gate):
                check(lib.vcpu_run(self.pointer, event), "vcpu_run", f"vCPU {self.id}")
                if event.kind != lib.VCPU_KICKED:
                    self.on_event(self, event)
        except BaseException as error:  # the machine collects it and stops the others
            self.on_failure(error)
            while gate.park(self.id, self._run_commands):
                gate.hold(self.id)
        finally:
            self._ended = True
            self.schedule.end()
            self._cancel_commands()

    def _pass(self, gate: Gate) -> bool:
        """Commands, then the gate; False when the thread must end."""
        if self._commands.empty() and not gate.must_park(self.id):
            return True
        self.complete_io()  # before parking, always: the gate may close between two looks at it
        self._run_commands()
        if not gate.must_park(self.id):
            return True
        since = monotonic_ns()
        goes_on = gate.park(self.id, self._run_commands)
        self.schedule.held(since)
        return goes_on

    def complete_io(self) -> None:
        """Lets KVM finish the last access, so that registers read true. Own thread.

        An access that crosses a page may have its second half at another device: what that asks
        for is an event like those of the run loop.
        """
        event = ffi.new("struct vcpu_event *")
        while lib.vcpu_complete_io(self.pointer, event):
            self.on_event(self, event)

    def _run_commands(self) -> None:
        while True:
            try:
                self._commands.get_nowait().run()
            except Empty:
                return

    def _cancel_commands(self) -> None:
        while True:
            try:
                self._commands.get_nowait().cancel()
            except Empty:
                return

    def ask(self, other: Vcpu, function: Callable[[], Any], gate: Gate) -> Any:
        """What `function` returns on the other vCPU's thread. Own thread.

        Meanwhile this one carries out what is asked of it: two that ask one another go on.
        """
        if other is self:
            return function()
        command = other.post(function, gate, self._commands)
        while not command.done():
            self._commands.get().run()
        return command.wait()

    def post(
        self, function: Callable[[], Any], gate: Gate, wake: SimpleQueue[Command] | None = None
    ) -> Command:
        """Queues `function` for this vCPU's thread."""
        command = Command(function, wake)
        self._commands.put(command)
        if self._ended or self._thread is None:
            self._cancel_commands()
            return command
        self.kick()
        gate.nudge(self.id)
        return command

    def kick(self) -> None:
        lib.vcpu_kick(self.pointer, lib.VCPU_REQUEST_COMMANDS)

    def failure(self) -> Any:
        """`struct vcpu_failure`: what KVM said of the last exit, if a failure or system event."""
        failure = ffi.new("struct vcpu_failure *")
        lib.vcpu_failure(self.pointer, failure)
        return failure

    def refuse_msr(self) -> None:
        """Answers a filtered MSR access with #GP."""
        lib.vcpu_refuse_msr(self.pointer)

    def join(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """After join(): unmaps kvm_run and closes the descriptor."""
        ffi.release(self.pointer)
        self.kvm.close()
