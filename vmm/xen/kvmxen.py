"""The back-end that leaves the work to KVM (KVM_CAP_XEN_HVM, Documentation/virt/kvm/api.rst).

Events between the domain's own ports, timers, clocks and run states never reach this process once
they are set up. For kernels without KVM_XEN there is `userxen.py`.
"""

from __future__ import annotations

from vmm import log
from vmm.errors import KvmError
from vmm.native import ffi, lib
from vmm.xen import abi, cpuid
from vmm.xen.kvmattrs import NO_GUEST_PAGE, get_vcpu, set_page, set_timer, set_vcpu, timer_end
from vmm.xen.kvmpirqs import KvmPirqs
from vmm.xen.kvmports import PRIORITY_2LEVEL, KvmPorts
from vmm.xen.pinevents import PinEvents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.bus import Bus
    from vmm.context import DeviceContext
    from vmm.kvm.vcpu import KvmVcpu
    from vmm.kvm.vm import Vm
    from vmm.xen.call import Call
    from vmm.xen.pirqs import Deliver
    from vmm.xen.seen import Observer

LAPIC_MESSAGES = 0xFEE00000  # to a local APIC: its id in bits 12 to 19
CALL_BYTES = 3  # VMCALL, VMMCALL


class KvmXen:
    """One domain's; see Backend for what the methods are for."""

    def __init__(self, vm: Vm, context: DeviceContext, flags: int, version: int) -> None:
        """flags: KVM_CAP_XEN_HVM's value, which has been checked."""
        self.features = abi.FEATURES
        self.has_update_flag = bool(flags & lib.KVM_XEN_HVM_CONFIG_RUNSTATE_UPDATE_FLAG)
        self.hypercall_msr = cpuid.hypercall_msr(hyperv=context.config.hyperv)
        self._pirqs = None if context.config.xen_pirqs == "off" else KvmPirqs(context)
        self.pirqs: Deliver | None = self._pirqs
        if self._pirqs is not None:
            self.features |= abi.XENFEAT_hvm_pirqs
        if version >= abi.VERSION_PHYS_AREAS:
            self.features |= abi.XENFEAT_runstate_phys_area | abi.XENFEAT_vcpu_time_phys_area
        self._vm, self._context = vm, context
        self._vcpu_ids = context.apic_ids  # KVM's number of each vCPU
        self._vcpus: list[KvmVcpu] = []
        self._pointers: list[Any] = []  # `struct vcpu *` of each
        self._ports = KvmPorts(vm, context.router, context.apic_ids)
        self._shared: int | None = None
        self._pins: PinEvents | None = None  # once it was wanted
        self._by_pin = False
        self._configure(events=True)
        try:
            self._set(lib.KVM_XEN_ATTR_TYPE_XEN_VERSION, xen_version=version)
        except KvmError:
            vm.xen_hvm_config(0, 0)  # another back-end may serve this VM: hypercalls are not ours
            raise

    def _configure(self, *, events: bool) -> None:
        """Hypercalls exit. events: KVM sets bits of event channels, and answers polls."""
        flags = lib.KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL
        if events:
            flags |= lib.KVM_XEN_HVM_CONFIG_EVTCHN_SEND
        self._vm.xen_hvm_config(flags, self.hypercall_msr)

    # --- the domain

    def _set(self, kind: int, **fields: int) -> None:
        attr = ffi.new("struct kvm_xen_hvm_attr *", {"type": kind, "u": fields})
        self._vm.xen_hvm_set_attr(attr)

    def wide(self) -> bool:
        """Whether shared pages have the 64-bit layout. KVM knows: the hypercall MSR latches it."""
        attr = ffi.new("struct kvm_xen_hvm_attr *", {"type": lib.KVM_XEN_ATTR_TYPE_LONG_MODE})
        self._vm.xen_hvm_get_attr(attr)
        return bool(attr.u.long_mode)

    def set_wide(self, wide: bool) -> None:
        self._set(lib.KVM_XEN_ATTR_TYPE_LONG_MODE, long_mode=wide)
        if self._pins is not None:
            self._pins.set_wide(wide)

    def set_shared_info(self, gpa: int | None) -> None:
        attr = ffi.new("struct kvm_xen_hvm_attr *", {"type": lib.KVM_XEN_ATTR_TYPE_SHARED_INFO})
        attr.u.shared_info.gfn = NO_GUEST_PAGE if gpa is None else gpa // abi.PAGE
        self._vm.xen_hvm_set_attr(attr)
        self._shared = gpa
        if self._by_pin and self._pins is not None:
            self._pins.set_page(gpa)

    def set_upcall_vector(self, vector: int) -> None:
        """For vCPUs without one of their own; 0: none."""
        self._set(lib.KVM_XEN_ATTR_TYPE_UPCALL_VECTOR, vector=vector)

    def set_update_flag(self, on: bool) -> None:
        """A bit in run state areas tells that they are being written."""
        self._set(lib.KVM_XEN_ATTR_TYPE_RUNSTATE_UPDATE_FLAG, runstate_update_flag=on)

    def set_callback_gsi(self, gsi: int | None) -> bool:
        """True: events take another way from here on, which knows of no port and no vCPU yet."""
        if gsi is None:
            if self._by_pin:
                self._leave_pin()
                return True
            return False
        if self._pins is None:
            self._pins = PinEvents(self._context, self._pointers)
        self._pins.set_line(gsi)
        if self._by_pin:
            return False
        try:
            wide = self.wide()
            self._configure(events=False)
        except KvmError:
            self._pins.quiet()
            raise
        self._pins.set_wide(wide)
        self._pins.set_page(self._shared)
        self._by_pin = True
        self._forget_events()
        return True

    def _forget_events(self) -> None:
        """What KVM is not told of again is for our C from here on."""
        try:
            self._ports.quiet()
            if self._pirqs is not None:
                self._pirqs.quiet()
        except KvmError as error:
            log.limited("xen.events_not_forgotten", error=str(error))

    def _leave_pin(self) -> None:
        assert self._pins is not None
        self._by_pin = False
        self._pins.quiet()
        self._configure(events=True)

    # --- event channels

    def opened(self, port: int, vcpu: int) -> None:
        """Nothing: KVM does not ask."""

    def closed(self, port: int) -> None:
        self.disconnect(port)

    def connect(self, port: int, kind: int, target: int, vcpu: int) -> None:
        """What the guest sends to `port` arrives at its own port `target`, which tells `vcpu`."""
        if not self._by_pin:
            self._ports.connect(port, kind, target, vcpu)

    def disconnect(self, port: int) -> None:
        """What the guest sends to `port` is a hypercall for us again."""
        self._ports.disconnect(port)

    def open_channel(self, port: int, vcpu: int, kick: int, call: int) -> None:
        """What the guest sends to `port` is counted in the eventfd `kick`, and writing `call` is an
        event of that port for `vcpu`; also for a port that was opened before, when its vCPU has
        changed. The descriptors stay the caller's, and open.
        """
        if self._by_pin and self._pins is not None:
            self._pins.open_channel(port, vcpu, kick, call)
        else:
            self._ports.tell(port, vcpu, call)
        self._ports.listen(port, kick)

    def close_channel(self, port: int) -> None:
        """Ends `open_channel()`."""
        self._ports.disconnect(port)
        self._ports.untell(port)
        if self._pins is not None:
            self._pins.close_channel(port)

    def send(self, port: int, vcpu: int) -> bool:
        """Sets the port's pending bit and tells the vCPU. False: there is no page to set it in."""
        if self._by_pin and self._pins is not None:
            return self._pins.send(port, vcpu)
        try:
            self._vm.xen_hvm_evtchn_send(port, self._vcpu_ids[vcpu], PRIORITY_2LEVEL)
        except KvmError:
            return False
        return True

    def raise_vector(self, vcpu: int, vector: int) -> None:
        """An interrupt for the vCPU's local APIC."""
        self._vm.signal_msi(LAPIC_MESSAGES | self._vcpu_ids[vcpu] << 12, vector)

    # --- one vCPU

    def vcpu_begin(self, vcpu: KvmVcpu, index: int, pointer: Any) -> None:
        """Once, before it runs: its number for Xen."""
        self._vcpus.append(vcpu)
        self._pointers.append(pointer)
        if self._pirqs is not None:
            self._pirqs.add_vcpu(pointer)
        set_vcpu(vcpu, lib.KVM_XEN_VCPU_ATTR_TYPE_VCPU_ID, vcpu_id=index)

    def vcpu_info(self, vcpu: KvmVcpu, gpa: int | None) -> None:
        set_page(vcpu, lib.KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, gpa)
        if self._pins is not None:
            self._pins.set_info(self._vcpus.index(vcpu), gpa)

    def vcpu_time_info(self, vcpu: KvmVcpu, gpa: int | None) -> None:
        set_page(vcpu, lib.KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO, gpa)

    def vcpu_runstate(self, vcpu: KvmVcpu, gpa: int | None) -> None:
        set_page(vcpu, lib.KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR, gpa)

    def vcpu_runstate_times(self, vcpu: KvmVcpu) -> tuple[int, int, tuple[int, ...]]:
        """State, when it began, and nanoseconds running, runnable, blocked and offline."""
        kind = lib.KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_DATA
        run = get_vcpu(vcpu, kind).u.runstate
        times = (run.time_running, run.time_runnable, run.time_blocked, run.time_offline)
        return int(run.state), int(run.state_entry_time), times

    def vcpu_runstate_now(self, vcpu: KvmVcpu, state: int) -> None:
        """The state that it is in while it does not run; KVM notes by itself when it does."""
        kind = lib.KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT
        set_vcpu(vcpu, kind, runstate={"state": state})

    def vcpu_call_again(self, vcpu: KvmVcpu, call: Call, params: tuple[int, ...]) -> None:
        """Three bytes are what both instructions have; a prefix is left out the second time."""
        call.repeat(vcpu, CALL_BYTES, params)

    def vcpu_upcall_vector(self, vcpu: KvmVcpu, vector: int) -> None:
        """A vector of its local APIC, to be ended with EOI; 0: the domain's."""
        set_vcpu(vcpu, lib.KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR, vector=vector)
        if self._pins is not None:
            self._pins.set_vector(self._vcpus.index(vcpu), vector)

    def vcpu_timer(self, vcpu: KvmVcpu, port: int, expires: int = 0) -> None:
        """The port of its timer, 0 for none; `expires`: when it next goes off, 0 for never."""
        if self._pins is not None:
            index = self._vcpus.index(vcpu)
            if self._by_pin:
                self._pins.set_timer(index, port, expires or timer_end(vcpu))
                port = expires = 0
            else:
                expires = expires or self._pins.timer_end(index)
                self._pins.set_timer(index, 0, 0)
        if port:  # bound anew: the time that KVM has stays
            expires = expires or timer_end(vcpu)
        set_timer(vcpu, port, expires)

    def vcpu_woken(self, vcpu: KvmVcpu) -> None:
        """Nothing: attributes outlive INIT."""

    def vcpu_msr_written(self, vcpu: KvmVcpu, index: int, value: int) -> bool:
        """KVM takes the hypercall page's MSR itself; no other exits."""
        return False

    def now(self) -> int:
        """The domain's system time in nanoseconds."""
        return int(self._vm.get_clock().clock)

    def claim(self, pio: Bus) -> None:
        """No port: hypercalls are exits of their own."""
        if self._pirqs is not None:
            self._pirqs.begin()

    def close(self) -> None:
        """What KVM knows of it ends with the VM."""
        if self._pins is not None:
            self._pins.close()
            self._pins = None
        if self._pirqs is not None:
            self._pirqs.close()

    def loaded(self, pieces: list[tuple[int, int]]) -> None:
        """Nothing: KVM finds hypercalls wherever they are."""

    def answer_all(self) -> None:
        """KVM keeps what it answers."""
        if self._pirqs is not None:
            self._pirqs.answer_all()

    def observe(self, observer: Observer) -> None:
        self.answer_all()
        observer.follow_kvm()

    def counters(self) -> dict[str, int]:
        """What KVM answers it does not count here."""
        parts = [part for part in (self._pins, self._pirqs) if part is not None]
        return {name: n for part in parts for name, n in part.counters().items()}

    def reset(self) -> None:
        """The domain's part as at the start; the vCPUs' parts are set one by one."""
        if self._by_pin:
            self._leave_pin()
        self._ports.reset()
        self.set_shared_info(None)
        self.set_upcall_vector(0)
        if self.has_update_flag:
            self.set_update_flag(False)
        self.set_wide(False)
