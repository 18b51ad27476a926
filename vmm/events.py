"""From what happened, on a vCPU or in the loop, to what the machine does about it.

Runs on the vCPU's or the loop's thread. A vCPU whose event the machine must resolve holds itself at
the gate first, so that the guest does not run on past its own reset.
"""

from __future__ import annotations

from vmm.errors import GuestCrash, KvmError, VmmError
from vmm.native import lib
from vmm.outcome import Outcome, debug_exit, outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vmm.loop import IoLoop
    from vmm.machine import Machine
    from vmm.vcpu import Vcpu
    from vmm.xen.domain import XenDomain

SYSTEM_EVENT_SHUTDOWN, SYSTEM_EVENT_RESET, SYSTEM_EVENT_CRASH = 1, 2, 3  # KVM_SYSTEM_EVENT_*


class EventDecoder:
    """Decodes for one machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    # --- vCPU threads

    def vcpu_event(self, vcpu: Vcpu, event: Any) -> None:
        kind = event.kind
        if kind == lib.VCPU_DEVICE:
            self._device_event(vcpu, event)
        elif kind == lib.VCPU_SYSTEM_EVENT:
            self._system_event(vcpu)
        elif kind == lib.VCPU_MSR:
            self._msr(vcpu, event)
        elif kind == lib.VCPU_WOKEN and self.machine.hardware.xen is not None:
            self.machine.hardware.xen.woken(self.machine.hardware.vcpus.index(vcpu))
        elif kind == lib.VCPU_XEN and self.machine.hardware.xen is not None:
            self._hypercall(vcpu, self.machine.hardware.xen)
        elif kind == lib.VCPU_UPCALL_FAILED:
            raise self._parked()
        elif kind == lib.VCPU_RUN_FAILED:
            raise KvmError("KVM_RUN", -event.code, f"vCPU {vcpu.id}")
        elif kind == lib.VCPU_INJECT_FAILED:
            raise KvmError("KVM_SET_VCPU_EVENTS", -event.code, f"vCPU {vcpu.id}")
        else:
            self._crash(vcpu, event)

    def _device_event(self, vcpu: Vcpu, event: Any) -> None:
        machine, code = self.machine, event.code
        if code == lib.DEV_EVENT_CRASH_LOADED:
            return self._log("guest.crash_kernel_runs", vcpu)
        if code == lib.DEV_EVENT_SLEEP:
            return self._log("guest.sleep_state_refused", vcpu)
        machine.gate.hold(vcpu.id)
        if code == lib.DEV_EVENT_POWER_OFF:
            self._ask(lambda: machine.mail.late_or(outcome("power-off")))
        elif code == lib.DEV_EVENT_RESET:
            self._ask(machine.guest_reset)
        elif code == lib.DEV_EVENT_DEBUG_EXIT:
            value = event.value
            self._ask(lambda: debug_exit(value))
        elif code == lib.DEV_EVENT_PANIC:
            machine.mail.post(outcome("panic", seen="pvpanic"))
        elif code == lib.DEV_EVENT_EJECT:
            bits = event.value
            self._ask(lambda: machine.ejected(bits, vcpu.id))
        elif code == lib.DEV_EVENT_UNPLUG:
            mask = event.value
            self._ask(lambda: machine.unplugged(mask, vcpu.id))
        elif code == lib.DEV_EVENT_REMAP:
            gpa = event.value
            self._ask(lambda: machine.remap(gpa, vcpu.id))
        else:
            raise VmmError(f"A device asked for something unknown: event {code}")
        return None

    def _system_event(self, vcpu: Vcpu) -> None:
        self.machine.gate.hold(vcpu.id)
        kind = vcpu.failure().suberror
        if kind == SYSTEM_EVENT_RESET:
            self._ask(self.machine.guest_reset)
        elif kind == SYSTEM_EVENT_CRASH:
            self.machine.mail.post(outcome("panic", seen="KVM system event"))
        else:
            self._ask(lambda: self.machine.mail.late_or(outcome("power-off")))

    def _msr(self, vcpu: Vcpu, event: Any) -> None:
        hardware = self.machine.hardware
        write = event.exit_reason == lib.KVM_EXIT_X86_WRMSR
        if hardware.xen is not None and write:
            index = hardware.vcpus.index(vcpu)
            if hardware.xen.msr_written(index, event.address, event.value):
                return
        vcpu.refuse_msr()

    def _hypercall(self, vcpu: Vcpu, domain: XenDomain) -> None:
        from vmm.xen import abi
        from vmm.xen.hypercalls import hypercall

        machine = self.machine
        reason = hypercall(
            domain, machine.hardware.vcpus.index(vcpu), vcpu.pointer, vcpu.complete_io
        )
        if reason is None:
            return
        machine.gate.hold(vcpu.id)
        if reason == abi.SHUTDOWN_crash:
            machine.mail.post(outcome("panic", seen="Xen hypercall"))
        elif reason == abi.SHUTDOWN_watchdog:
            self.watchdog_ended()
        elif reason == abi.SHUTDOWN_soft_reset:
            self._ask(lambda: machine.soft_reset(vcpu.id))
        elif reason == abi.SHUTDOWN_reboot:
            self._ask(machine.guest_reset)
        else:
            self._ask(lambda: machine.mail.late_or(outcome("power-off")))

    def carry_out(self, caller: int, target: int, function: Callable[[], Any]) -> Any:
        """Runs `function` on a vCPU's thread for another one, which waits: see XenDomain."""
        vcpus = self.machine.hardware.vcpus
        return vcpus[caller].ask(vcpus[target], function, self.machine.gate)

    def hold(self, target: int, held: bool) -> None:
        """A vCPU of a Xen domain stands still, or goes on: see XenDomain."""
        vcpu = self.machine.hardware.vcpus[target]
        if held:
            self.machine.gate.hold(vcpu.id)
            vcpu.kick()
        else:
            self.machine.gate.release(vcpu.id)

    def watchdog_ended(self) -> None:
        """A Xen domain's watchdog was not told in time that the guest lives. Any thread."""
        self._ask(lambda: outcome("panic", seen="Xen watchdog"))

    def _ask(self, wish: Callable[[], Outcome | None]) -> None:
        """Posts what a held vCPU wants done; a reset that comes first ends the life it was for."""
        machine = self.machine
        life = machine.resets
        machine.mail.post(lambda: wish() if machine.resets == life else None)

    def _crash(self, vcpu: Vcpu, event: Any) -> None:
        """Triple fault, KVM internal error, failed entry, an exit we cannot handle."""
        from vmm import crash

        machine = self.machine
        machine.gate.hold(vcpu.id)
        vcpu.complete_io()
        report = crash.report(vcpu, machine.hardware.memory, event)
        what = {
            lib.VCPU_SHUTDOWN: "triple fault",
            lib.VCPU_INTERNAL_ERROR: "KVM internal error",
            lib.VCPU_FAIL_ENTRY: "failed entry",
            lib.VCPU_HLT: "halt without a local APIC",
        }.get(event.kind, f"unknown exit {crash.exit_name(event.exit_reason)}")
        error = GuestCrash(
            f"The guest crashed: {what} on vCPU {vcpu.id} at rip {report['registers']['rip']:#x}",  # type: ignore[index]
            report,
        )
        machine.mail.errors.append(error)
        detail = {"what": what, **report}
        machine.mail.post(Outcome(cause="crash", code=error.exit_code, detail=detail))

    def _parked(self) -> BaseException:
        for device in self.machine.hardware.python_devices:
            error = device.take_parked()
            if error is not None:
                return error
        return VmmError("A device in Python failed without saying why")

    def _log(self, event: str, vcpu: Vcpu) -> None:
        from vmm import log

        log.limited(event, "info", vm=self.machine.config.name, vcpu=vcpu.id)

    # --- the loop's thread

    def watch_loop(self, loop: IoLoop) -> None:
        """Registers for the loop's own events."""
        loop.on(lib.LOOP_PANIC_LINE, self._panic_line)

    def _panic_line(self, _value: int, _source: object) -> None:
        machine = self.machine
        machine.mail.post(lambda: machine.mail.panic(outcome("panic", seen="console")))
