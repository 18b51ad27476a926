"""A machine: hardware, threads, lifecycle, and how it ends.

States: new -> ready -> running <-> paused -> stopped. `run()` does it all on the calling thread;
`start()` puts the managing loop on a thread of its own for callers who want to script. vCPU and I/O
threads never change the machine themselves: they post what must happen to the managing thread,
whose mailbox is the only queue, and hold themselves at the gate until it is done.
"""

from __future__ import annotations

import os
import threading
import time
from _queue import Empty, SimpleQueue

from vmm import crash, log
from vmm.boot import prepare
from vmm.bootplan import boot_config, check_clock
from vmm.errors import KvmError, StateError, VmmError
from vmm.events import EventDecoder
from vmm.gate import Gate
from vmm.hardware import Hardware
from vmm.kvm import clock, topology
from vmm.native import lib
from vmm.outcome import Outcome, outcome
from vmm.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vmm.boot import BootResult
    from vmm.config import VmConfig
    from vmm.deviceconfig import DeviceConfig
    from vmm.vcpu import Vcpu

    Message = Outcome | Callable[[], Outcome | None]  # the end, or what to do and may be the end

BUILT = ("ready", "running", "paused", "stopped")  # states in which there is hardware
RESETS_MARKED = 64  # the first ones; a guest that resets itself for ever would fill the memory
PANIC_GRACE = 0.5  # seconds in which the rest of a panic message may reach the console


class Machine:
    """One virtual machine. Use as a context manager: leaving it stops and closes everything.

    `on_event(name, fields)` is called for pause, resume, reset, devices that left, and the end;
    `timeline` lists (mark, CLOCK_MONOTONIC nanoseconds).
    """

    def __init__(self, config: VmConfig) -> None:
        self.config = config
        self.state = "new"
        self.timeline: list[tuple[str, int]] = []
        self.resets = 0
        self.result: Outcome | None = None
        self.errors: list[BaseException] = []
        self.on_event: Callable[[str, dict[str, object]], None] = lambda _name, _fields: None
        self._mail: SimpleQueue[Message] = SimpleQueue()
        self._lifecycle = threading.RLock()  # pause, resume, reset and stop, one at a time
        self._manager: threading.Thread | None = None
        self._token: object = None
        self._deadline = float("inf")
        self._late: Outcome | None = None  # what an expired deadline means, if not a timeout
        self.gate = Gate(config.cpus)

    # --- building and closing

    def __enter__(self) -> Machine:
        self._mark("start")
        apic_ids = topology.apic_ids(self.config.cpu, self.config.cpus)
        self.images = prepare(boot_config(self.config, apic_ids))
        try:
            check_clock(self.config, self.images.image)
            self._mark("images-ready")
            self.hardware = Hardware(self.config)
            try:
                self._mark("hardware-ready")
                self._load_images()
            except BaseException:
                self.hardware.close()
                raise
        except BaseException:
            self.images.close()
            raise
        self.state = "ready"
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops the machine if it runs, and gives everything back."""
        if self.state in ("new", "closed"):
            return
        if self._manager is not None and self._manager is not threading.current_thread():
            self.stop()
            self._manager.join()
        if self.state != "stopped":
            self._halt_threads()
        self.state = "closed"
        self.hardware.close()
        self.images.close()

    def _load_images(self) -> None:
        hardware = self.hardware
        if self.config.reboot == "reset":
            hardware.remember_reset_state()
        self.boot: BootResult = self.images.load(hardware.memory, fresh=hardware.memory.fresh)
        hardware.memory.fresh = False
        hardware.enter(self.boot.entry)
        self._mark("images-loaded")

    def _mark(self, name: str) -> None:
        self.timeline.append((name, time.monotonic_ns()))
        log.event("machine.reached", vm=self.config.name, mark=name)

    # --- running

    def run(self) -> Outcome:
        """Starts, manages until it ends, stops; raises what ended it if that was an error."""
        self._launch()
        return self._manage()

    def start(self) -> None:
        """Like run(), on a thread; see wait()."""
        self._launch()
        manager = threading.Thread(target=self._manage_quietly, name="manager")
        manager.start()
        self._manager = manager

    def wait(self, timeout: float | None = None) -> Outcome:
        """The outcome of a started machine. TimeoutError if it still runs after `timeout` s."""
        if self._manager is None:
            raise StateError("The machine was not started; use run() or start()")
        self._manager.join(timeout)
        if self._manager.is_alive():
            raise TimeoutError(f"{self.config.name} still runs after {timeout} s")
        self._raise_errors()
        assert self.result is not None
        return self.result

    def _launch(self) -> None:
        self._need("start", "ready")
        events = EventDecoder(self)
        events.watch_loop(self.hardware.loop)
        self.hardware.on_notify = lambda name, fields: self.post(
            lambda: self.on_event(name, fields)
        )
        self.hardware.loops.start(self.fail)
        for vcpu in self.hardware.vcpus:
            vcpu.on_event, vcpu.on_failure = events.vcpu_event, self.fail
            vcpu.start(self.gate)
        if self.config.timeout is not None:
            self._deadline = time.monotonic() + self.config.timeout
        self.state = "running"
        self._mark("running")
        self.gate.open()

    def _manage_quietly(self) -> None:
        try:
            self._manage()
        except BaseException as error:  # wait() raises it
            if not self.errors:
                self.errors.append(error)

    def _manage(self) -> Outcome:
        ended: Outcome | None = None
        while ended is None:
            try:
                left = self._deadline - time.monotonic()
                message = self._mail.get(timeout=None if left == float("inf") else max(left, 0))
                ended = message if isinstance(message, Outcome) else message()
            except Empty:
                ended = self._late or outcome("timeout", seconds=self.config.timeout)
            except Exception as error:
                self.fail(error)
        self._mark(ended.cause)
        self._halt_threads()
        if ended.cause == "timeout":
            ended = replace(ended, detail={**ended.detail, "vcpus": self._where()})
        self.result = ended
        self.on_event("STOP", {"cause": ended.cause, "code": ended.code})
        self._raise_errors()
        return ended

    def _where(self) -> list[dict[str, object]]:
        """Where each vCPU stood when time ran out: registers, instruction bytes, last exits."""
        memory = self.hardware.memory
        return [crash.position(vcpu, memory) for vcpu in self.hardware.vcpus]

    def _halt_threads(self) -> None:
        """Gate shut for good, vCPUs kicked and joined, then the loop; also after half a launch."""
        with self._lifecycle:
            if self.state != "stopped":
                self.gate.stop()
                self._kick_all()
                for vcpu in self.hardware.vcpus:
                    vcpu.join()
                lib.vmcore_drain(self.hardware.core)
                self.hardware.loops.stop()
            self.state = "stopped"

    def _kick_all(self) -> None:
        for vcpu in self.hardware.vcpus:
            vcpu.kick()

    def _raise_errors(self) -> None:
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            raise BaseExceptionGroup("several threads failed", self.errors)

    # --- what threads ask for

    def post(self, message: Message) -> None:
        """Queues an outcome or an action for the managing thread. Any thread or signal handler."""
        self._mail.put(message)

    def wake_when_readable(self, fd: int) -> None:
        """When `fd` has bytes, wakes the managing thread, if only to run its signal handlers."""

        def wake() -> None:
            os.read(fd, 64)
            self.post(lambda: None)

        self.hardware.loop.serve(fd, lib.EPOLLIN, wake)

    def fail(self, error: BaseException) -> None:
        """A thread's exception: the machine ends with it."""
        if error in self.errors:
            return
        self.errors.append(error)
        code = error.exit_code if isinstance(error, VmmError) else KvmError.exit_code
        self.post(Outcome(cause="error", code=code, detail={"error": str(error)}))

    def panic(self, ended: Outcome) -> None:
        """The guest panicked: ends soon, when the rest of its message is out."""
        if self._late is None:
            self._late = ended
            self._deadline = min(self._deadline, time.monotonic() + PANIC_GRACE)

    def late_or(self, ended: Outcome) -> Outcome:
        """A guest that panicked and then powered off or reset itself has panicked."""
        return self._late or ended

    # --- control, from any thread

    def _need(self, action: str, *states: str) -> None:
        if self.state not in states:
            raise StateError(f"Cannot {action} a machine that is {self.state}")

    def pause(self) -> None:
        """Returns when no vCPU is in the guest and the guest's clocks stand still."""
        with self._lifecycle:
            self._need("pause", "running")
            self.gate.close(self._kick_all)
            lib.vclock_stop(self.hardware.clock)
            self.state = "paused"
            try:
                self.hardware.pause_devices()
                self._stand_at_present()
            except BaseException:  # not paused, then: nobody could resume from nowhere
                self.state = "running"
                self.hardware.resume_devices()
                lib.vclock_run(self.hardware.clock)
                self.gate.open()
                raise
        self.on_event("PAUSE", {})

    def _stand_at_present(self) -> None:
        """While paused: resume() goes on from the clocks and timers as they are now."""
        if self.state == "paused":
            self._token = clock.paused(self.hardware.vm, [v.kvm for v in self.hardware.vcpus])

    def resume(self) -> None:
        with self._lifecycle:
            self._need("resume", "paused")
            clock.resumed(self.hardware.vm, [v.kvm for v in self.hardware.vcpus], self._token)
            lib.vclock_run(self.hardware.clock)
            self.hardware.resume_devices()
            self.state = "running"
            self.gate.open()
        self.on_event("RESUME", {})

    def reset(self) -> None:
        """In place: vCPUs, devices and images return to their start; RAM keeps its contents.

        A failure half-way ends the machine.
        """
        with self._lifecycle:
            self._need("reset", "running", "paused")
            if self.config.reboot != "reset":
                raise StateError("--reboot exit keeps no state to reset to")
            self.gate.close(self._kick_all)
            try:
                self._leave_at_reset()
                self.hardware.reset()
                self.boot = self.images.load(self.hardware.memory, fresh=False)
                self.hardware.enter(self.boot.entry)
                self._stand_at_present()
                self.resets += 1
                if self.resets <= RESETS_MARKED:
                    self._mark("reset")
            except BaseException as error:
                self.fail(error)  # with the gate closed: half reset, no vCPU may run on
                raise
            self.gate.release()
            self.gate.open()
        self.on_event("RESET", {"resets": self.resets})

    def guest_reset(self) -> Outcome | None:
        """The guest asked for a reset (managing thread): --reboot decides."""
        if self._late is not None or self.config.reboot == "exit":
            return self.late_or(outcome("reset"))
        self.reset()
        return None

    def save(self) -> dict[str, Any]:
        """The state of vCPUs and devices as plain data, without RAM. Only while paused or ready."""
        with self._lifecycle:
            self._need("save", "paused", "ready")
            return self.hardware.save()

    def load(self, saved: dict[str, Any]) -> None:
        """Takes back what save() gave; RAM is the caller's. StateError if it does not fit."""
        with self._lifecycle:
            self._need("load", "paused", "ready")
            self.hardware.load(saved)
            self._stand_at_present()

    def remap(self, gpa: int, vcpu_id: int) -> None:
        """Unmaps and maps the RAM that holds `gpa` with all vCPUs parked (pc-testdev).

        vcpu_id: which vCPU asked and is held for it.
        """
        with self._lifecycle:
            self.gate.close(self._kick_all)
            try:
                self.hardware.memory.remap(gpa)
            finally:
                self.gate.release(vcpu_id)
                self.gate.open()

    def stop(self, cause: str = "stopped", **detail: object) -> None:
        """Asks the machine to end; returns at once."""
        self.post(outcome(cause, **detail))

    def power_button(self) -> None:
        """Presses the ACPI power button; the guest decides what follows."""
        self._need("press the power button of", *BUILT)
        acpi: Any = self.hardware.device("acpi")
        if acpi is None:
            raise StateError("This machine has no power button")
        acpi.power_button()

    def attach_device(self, device: str | DeviceConfig) -> dict[str, object]:
        """Adds what `--device` would have and tells the guest; its `id` and its `address`."""
        from vmm import plugging

        config = plugging.read(device)
        with self._lifecycle:
            self._need("attach a device to", "ready", "running", "paused")
            made = plugging.attach(self.hardware, config)
            if self.state == "paused":
                made.pause()
            return {"id": made.name, "address": made.function.address}

    def detach_device(self, name: str) -> None:
        """Asks the guest to let go of the device, and of all in its slot.

        DEVICE_DELETED tells when it is gone: at once if the guest never ran, else when its driver
        has let go, or when the machine is reset.
        """
        from vmm import plugging

        with self._lifecycle:
            self._need("detach a device from", "ready", "running", "paused")
            slot = plugging.slot_of(self.hardware, name)
            if self.state == "ready":
                self._take_out({slot})
            else:
                plugging.ask(self.hardware, slot)

    def ejected(self, bits: int, vcpu_id: int) -> None:
        """The guest let go of the slots that are set in `bits`; its vCPU is held for that."""
        with self._lifecycle:
            self._take_out({slot for slot in range(32) if bits >> slot & 1})
            self.gate.release(vcpu_id)

    def _leave_at_reset(self) -> None:
        """Devices that the guest was asked for: the next life begins without them."""
        registers: Any = self.hardware.device("pci-hotplug")
        if registers.asked:
            self._take_out(set(registers.asked))

    def _take_out(self, slots: set[int]) -> None:
        from vmm import plugging

        for gone in plugging.remove(self.hardware, slots):
            self.on_event("DEVICE_DELETED", gone)

    def on_vcpu(self, vcpu: Vcpu, function: Callable[[], Any]) -> Any:
        """Runs `function` on the vCPU's thread between two KVM_RUNs and returns its result."""
        return vcpu.post(function, self.gate).wait()

    # --- looking

    def info(self) -> dict[str, Any]:
        from vmm.inspection import info

        return info(self)

    def stats(self) -> dict[str, Any]:
        from vmm.inspection import stats

        with self._lifecycle:  # no device leaves meanwhile
            self._need("read the counters of", *BUILT)
            return stats(self)

    def boot_marks(self) -> list[tuple[str, int]]:
        """What the guest wrote to port 0x80, in the form of `timeline`."""
        device: Any = self.hardware.device("boot-marks")
        return list(device.timeline()) if device is not None else []

    def console_tail(self) -> bytes:
        """The last bytes the guest wrote to its first console."""
        com1: Any = self.hardware.device("com1")
        return bytes(com1.tail()) if com1 is not None else b""
