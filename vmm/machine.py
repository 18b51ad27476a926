"""A machine: building it, running it to its end, and looking at it.

`run()` does it all on the calling thread; `start()` puts the managing loop on a thread of its own
for callers who want to script. vCPU and I/O threads never change the machine themselves: they post
what must happen to the managing thread, whose mailbox is the only queue, and hold themselves at the
gate until it is done.
"""

from __future__ import annotations

import os

from vmm.boot import prepare
from vmm.bootplan import boot_config, check_clock
from vmm.closing import close_all, raise_together
from vmm.errors import StateError
from vmm.events import EventDecoder
from vmm.hardware import Hardware
from vmm.kvm import topology
from vmm.lifecycle import Lifecycle
from vmm.native import lib
from vmm.outcome import Outcome, outcome
from vmm.record import replace
from vmm.threads import Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vmm.config import VmConfig
    from vmm.mailbox import Message
    from vmm.vcpu import Vcpu
    from vmm.xen.domain import Answerer

BUILT = ("ready", "running", "paused", "stopped")  # states in which there is hardware


class Machine(Lifecycle):
    """One virtual machine. Use as a context manager: leaving it stops and closes everything.

    Its states, and the moves between them, are those of `Lifecycle`.
    """

    def __init__(self, config: VmConfig) -> None:
        super().__init__(config)
        self.result: Outcome | None = None
        self._manager: Thread | None = None

    # --- building and closing

    def __enter__(self) -> Machine:
        self.mark("start")
        apic_ids = topology.apic_ids(self.config.cpu, self.config.cpus)
        self.images = prepare(boot_config(self.config, apic_ids))
        try:
            check_clock(self.config, self.images.image)
            self.mark("images-ready")
            self.hardware = Hardware(self.config)
        except BaseException as error:
            close_all([self.images.close], error)
        try:
            self.mark("hardware-ready")
            self._load_images()
        except BaseException as error:
            close_all([self.hardware.close, self.images.close], error)
        self.state = "ready"
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        try:
            self.close()
        except BaseException as late:
            raise_together("closing failed", [late] if error is None else [error, late])

    def close(self) -> None:
        """Stops the machine if it runs, and gives everything back."""
        if self.state in ("new", "closed"):
            return
        if self._manager is not None and not self._manager.is_current():
            self.stop()
            self._manager.join()
        if self.state != "stopped":
            self.halt_threads()
        self.state = "closed"
        close_all([self.hardware.close, self.images.close])

    def _load_images(self) -> None:
        hardware = self.hardware
        if self.config.reboot == "reset":
            hardware.remember_reset_state()
        self.boot = self.images.load(hardware.memory, fresh=hardware.memory.fresh)
        hardware.memory.fresh = False
        hardware.enter(self.boot)
        self.mark("images-loaded")

    # --- running

    def run(self) -> Outcome:
        """Starts, manages until it ends, stops; raises what ended it if that was an error."""
        self._launch()
        return self._manage()

    def start(self) -> None:
        """Like run(), on a thread; see wait()."""
        self._launch()
        manager = Thread(target=self._manage_quietly, name="manager")
        manager.start()
        self._manager = manager

    def wait(self, timeout: float | None = None) -> Outcome:
        """The outcome of a started machine. TimeoutError if it still runs after `timeout` s."""
        if self._manager is None:
            raise StateError("The machine was not started; use run() or start()")
        self._manager.join(-1 if timeout is None else timeout)
        if self._manager.is_alive():
            raise TimeoutError(f"{self.config.name} still runs after {timeout} s")
        self.mail.raise_errors()
        assert self.result is not None
        return self.result

    def _launch(self) -> None:
        self.need("start", "ready")
        events = EventDecoder(self)
        for loop in self.hardware.loops.all:
            events.watch_loop(loop)
        if self.hardware.xen is not None:
            self.hardware.xen.carry_out = events.carry_out
            self.hardware.xen.hold = events.hold
            self.hardware.xen.watchdogs.on_end = events.watchdog_ended
        self.hardware.on_notify = lambda name, fields: self.post(
            lambda: self.on_event(name, fields)
        )
        self.hardware.on_wish = lambda what, name: self.post(lambda: self.grant(what, name))
        self.hardware.loops.start(self.mail.fail)
        for vcpu in self.hardware.vcpus:
            vcpu.on_event, vcpu.on_failure = events.vcpu_event, self.mail.fail
            vcpu.start(self.gate)
        self.mail.allow(self.config.timeout)
        self.hardware.memory.watch()
        self.state = "running"
        self.mark("running")
        self.gate.open()

    def _manage_quietly(self) -> None:
        try:
            self._manage()
        except BaseException as error:  # wait() raises it
            if not self.mail.errors:
                self.mail.errors.append(error)

    def _manage(self) -> Outcome:
        ended: Outcome | None = None
        while ended is None:
            ended = self.mail.take()
        self.mark(ended.cause)
        self.halt_threads()
        if ended.cause == "timeout":
            ended = replace(ended, detail={**ended.detail, "vcpus": self._where()})
        self.result = ended
        self.on_event("STOP", {"cause": ended.cause, "code": ended.code})
        self.mail.raise_errors()
        return ended

    def _where(self) -> list[dict[str, object]]:
        """Where each vCPU stood when time ran out: registers, instruction bytes, last exits."""
        from vmm import crash

        memory = self.hardware.memory
        return [crash.position(vcpu, memory) for vcpu in self.hardware.vcpus]

    # --- what threads ask for

    def post(self, message: Message) -> None:
        """Queues an outcome or an action for the managing thread. Any thread or signal handler."""
        self.mail.post(message)

    def wake_when_readable(self, fd: int) -> None:
        """When `fd` has bytes, wakes the managing thread, if only to run its signal handlers."""

        def wake() -> None:
            os.read(fd, 64)
            self.post(lambda: None)

        self.hardware.loop.serve(fd, lib.EPOLLIN, wake)

    # --- control, from any thread

    def guest_reset(self) -> Outcome | None:
        """The guest asked for a reset (managing thread): --reboot decides."""
        if self.mail.panicked or self.config.reboot == "exit":
            return self.mail.late_or(outcome("reset"))
        self.reset()
        return None

    def stop(self, cause: str = "stopped", **detail: object) -> None:
        """Asks the machine to end; returns at once."""
        self.post(outcome(cause, **detail))

    def power_button(self) -> None:
        """Presses the ACPI power button; the guest decides what follows."""
        self.need("press the power button of", *BUILT)
        acpi: Any = self.hardware.device("acpi")
        if acpi is None:
            raise StateError("This machine has no power button")
        acpi.power_button()

    def on_vcpu(self, vcpu: Vcpu, function: Callable[[], Any]) -> Any:
        """Runs `function` on the vCPU's thread between two KVM_RUNs and returns its result."""
        return vcpu.post(function, self.gate).wait()

    # --- looking

    def info(self) -> dict[str, Any]:
        from vmm.inspection import info

        return info(self)

    def stats(self) -> dict[str, Any]:
        from vmm.inspection import stats

        with self.moving:  # no device leaves meanwhile
            self.need("read the counters of", *BUILT)
            return stats(self)

    def on_hypercall(self, name: str, answerer: Answerer | None) -> None:
        """Has `answerer(call, usual)` answer a Xen guest's calls of that name; docs/xen.md.

        KeyError: there is no call of that name. StateError: not built, or without Xen.
        """
        from vmm.xen.hypercalls import answer_by

        self.need("answer a hypercall of", *BUILT)
        if self.hardware.xen is None:
            raise StateError("There are no hypercalls without --xen")
        answer_by(self.hardware.xen, name, answerer)

    def boot_marks(self) -> list[tuple[str, int]]:
        """What the guest wrote to port 0x80, in the form of `timeline`."""
        device: Any = self.hardware.device("boot-marks")
        return list(device.timeline()) if device is not None else []

    def console_tail(self) -> bytes:
        """The last bytes the guest wrote to its first console."""
        if self.config.consoles[0].xen and self.hardware.xen is not None:
            return self.hardware.xen.services.console_tail()
        if self.config.consoles[0].virtio:
            return b"".join(port.chan.tail() for port in self.ports.consoles()[:1])
        com1: Any = self.hardware.device("com1")
        return bytes(com1.tail()) if com1 is not None else b""
