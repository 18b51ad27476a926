"""The states of a machine and the moves between them: pause, resume, reset, save and load.

new -> ready -> running <-> paused -> stopped -> closed. One lock lets one move happen at a time;
vCPUs are at the gate for each.
"""

from __future__ import annotations

import time

from vmm import log
from vmm.errors import StateError
from vmm.gate import Gate
from vmm.kvm import clock
from vmm.mailbox import Mailbox
from vmm.native import lib
from vmm.threads import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vmm.boot import BootResult, Prepared
    from vmm.config import VmConfig
    from vmm.deviceconfig import DeviceConfig
    from vmm.hardware import Hardware
    from vmm.ports import Ports

RESETS_MARKED = 64  # the first ones; a guest that resets itself for ever would fill the memory


class Lifecycle:
    """What a machine is besides its ends: `hardware` and `images` exist from "ready" on.

    `on_event(name, fields)` is called for pause, resume, reset, devices that left, and the end;
    `timeline` lists (mark, CLOCK_MONOTONIC nanoseconds).
    """

    hardware: Hardware
    images: Prepared
    boot: BootResult

    def __init__(self, config: VmConfig) -> None:
        self.config = config
        self.state = "new"
        self.timeline: list[tuple[str, int]] = []
        self.resets = 0
        self.on_event: Callable[[str, dict[str, object]], None] = lambda _name, _fields: None
        self.mail = Mailbox()
        self.gate = Gate(config.cpus)
        self.moving = RLock()  # one move at a time, and no device comes or goes meanwhile
        self._token: object = None

    def mark(self, name: str) -> None:
        """A point of the timeline, now."""
        self.timeline.append((name, time.monotonic_ns()))
        log.event("machine.reached", vm=self.config.name, mark=name)

    def need(self, action: str, *states: str) -> None:
        """StateError unless the machine is in one of `states`."""
        if self.state not in states:
            raise StateError(f"Cannot {action} a machine that is {self.state}")

    def pause(self) -> None:
        """Returns when no vCPU is in the guest and the guest's clocks stand still."""
        with self.moving:
            self.need("pause", "running")
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
        with self.moving:
            self.need("resume", "paused")
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
        with self.moving:
            self.need("reset", "running", "paused")
            if self.config.reboot != "reset":
                raise StateError("--reboot exit keeps no state to reset to")
            self.gate.close(self._kick_all)
            try:
                self._leave_at_reset()
                self._return_at_reset()
                self.hardware.reset()
                self.boot = self.images.load(self.hardware.memory, fresh=False)
                self.hardware.enter(self.boot)
                self._stand_at_present()
                self.resets += 1
                if self.resets <= RESETS_MARKED:
                    self.mark("reset")
            except BaseException as error:
                self.mail.fail(error)  # with the gate closed: half reset, no vCPU may run on
                raise
            self.gate.release()
            self.gate.open()
        self.on_event("RESET", {"resets": self.resets})

    def save(self) -> dict[str, Any]:
        """The state of vCPUs and devices as plain data, without RAM. Only while paused or ready."""
        with self.moving:
            self.need("save", "paused", "ready")
            return self.hardware.save()

    def load(self, saved: dict[str, Any]) -> None:
        """Takes back what save() gave; RAM is the caller's. StateError if it does not fit."""
        with self.moving:
            self.need("load", "paused", "ready")
            self.hardware.load(saved)
            self._stand_at_present()

    def remap(self, gpa: int, vcpu_id: int) -> None:
        """Unmaps and maps the RAM that holds `gpa` with all vCPUs parked (pc-testdev).

        vcpu_id: which vCPU asked and is held for it.
        """
        with self.moving:
            self.gate.close(self._kick_all)
            try:
                self.hardware.memory.remap(gpa)
            finally:
                self.gate.release(vcpu_id)
                self.gate.open()

    def soft_reset(self, vcpu_id: int) -> None:
        """A Xen domain begins anew around a guest that runs on: a kernel that starts another.

        vcpu_id: which vCPU asked and is held for it.
        """
        assert self.hardware.xen is not None
        with self.moving:
            self.gate.close(self._kick_all)
            try:
                self.hardware.xen.soft_reset()
            except BaseException as error:
                self.mail.fail(error)  # with the gate closed, as in reset()
                raise
            self.gate.release(vcpu_id)
            self.gate.open()

    @property
    def ports(self) -> Ports:
        """The ports of virtio consoles."""
        from vmm.ports import Ports

        return Ports(self)

    def attach_device(self, device: str | DeviceConfig) -> dict[str, object]:
        """Adds what `--device` would have and tells the guest; its `id` and its `address`."""
        from vmm import plugging

        config = plugging.read(device)
        with self.moving:
            self.need("attach a device to", "ready", "running", "paused")
            made = plugging.attach(self.hardware, config)
            if self.state == "paused":
                made.pause()
            return {"id": made.name, "address": made.function.address}

    def resize_disk(self, name: str) -> int:
        """Tells the guest how large a disk's image is by now: in bytes."""
        from vmm import plugging

        with self.moving:
            self.need("resize a disk of", "ready", "running", "paused")
            return plugging.resize_disk(self.hardware, name)

    def detach_device(self, name: str) -> None:
        """Asks the guest to let go of the device, and of all in its slot.

        DEVICE_DELETED tells when it is gone: at once if the guest cannot know of it, else when its
        driver has let go, or when the machine is reset.
        """
        from vmm import plugging

        with self.moving:
            self.need("detach a device from", "ready", "running", "paused")
            slot = plugging.slot_of(self.hardware, name)
            if self.state == "ready" or plugging.unseen(self.hardware, slot):
                self._take_out({slot})
            else:
                plugging.ask(self.hardware, slot)

    def grant(self, wish: str, name: str) -> None:
        """What a device asked for (DeviceContext.wish), unless the machine is past that by now."""
        try:
            self.pause() if wish == "pause" else self.detach_device(name)
        except StateError as error:
            log.event("machine.wish_not_granted", wish=wish, device=name, reason=str(error))

    def ejected(self, bits: int, vcpu_id: int) -> None:
        """The guest let go of the slots that are set in `bits`; its vCPU is held for that."""
        with self.moving:
            try:
                self._take_out({slot for slot in range(32) if bits >> slot & 1})
            finally:
                self.gate.release(vcpu_id)

    def unplugged(self, mask: int, vcpu_id: int) -> None:
        """A Xen guest wants PV devices in place of others; its vCPU is held for that.

        mask: as it wrote to the platform device's port.
        """
        from vmm import twins

        with self.moving:
            try:
                for gone in twins.hand_over(self.hardware, mask):
                    self.on_event("DEVICE_DELETED", gone)
            finally:
                self.gate.release(vcpu_id)

    def _leave_at_reset(self) -> None:
        """Devices that the guest was asked for: the next life begins without them."""
        registers: Any = self.hardware.device("pci-hotplug")
        if registers is not None and registers.asked:
            self._take_out(set(registers.asked))

    def _return_at_reset(self) -> None:
        """Devices whose twins the guest wanted: the next life begins with them."""
        if self.hardware.xen is not None and self.hardware.xen.services.twins:
            from vmm import twins

            twins.give_back(self.hardware)

    def _take_out(self, slots: set[int]) -> None:
        from vmm import plugging

        for gone in plugging.remove(self.hardware, slots):
            self.on_event("DEVICE_DELETED", gone)

    def halt_threads(self) -> None:
        """Gate shut for good; vCPUs, devices and loops end. Also after half a launch."""
        with self.moving:
            if self.state != "stopped":
                self.gate.stop()
                self._kick_all()
                for vcpu in self.hardware.vcpus:
                    vcpu.join()
                lib.vmcore_drain(self.hardware.core)
                self._halt_devices()
                self.hardware.loops.stop()
            self.state = "stopped"

    def _halt_devices(self) -> None:
        """Before the loops end: the kernel gives up what io_uring has under way for their threads.

        What is stuck is said again, as an error, when it cannot be closed either.
        """
        try:
            self.hardware.halt_devices()
        except Exception as error:
            log.warning("machine.not_at_rest", vm=self.config.name, why=str(error))

    def _kick_all(self) -> None:
        for vcpu in self.hardware.vcpus:
            vcpu.kick()
