"""The back-end that leaves the work to KVM (KVM_CAP_XEN_HVM, Documentation/virt/kvm/api.rst).

Events between the domain's own ports, timers, clocks and run states never reach this process once
they are set up. For kernels without KVM_XEN there is `userxen.py`.
"""

from __future__ import annotations

from vmm.errors import HostError, KvmError
from vmm.native import ffi, lib
from vmm.xen import abi
from vmm.xen.abi import XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.bus import Bus
    from vmm.context import DeviceContext
    from vmm.kvm.vcpu import KvmVcpu
    from vmm.kvm.vm import Vm
    from vmm.xen.call import Call

NO_GUEST_PAGE = (1 << 64) - 1  # KVM_XEN_INVALID_GPA, KVM_XEN_INVALID_GFN
LAPIC_MESSAGES = 0xFEE00000  # to a local APIC: its id in bits 12 to 19
CALL_BYTES = 3  # VMCALL, VMMCALL
PRIORITY_2LEVEL = 0xFFFFFFFF
NEEDED = (
    "HYPERCALL_MSR", "INTERCEPT_HCALL", "SHARED_INFO", "RUNSTATE", "EVTCHN_2LEVEL", "EVTCHN_SEND",
)  # fmt: skip


def check_flags(flags: int) -> None:
    """HostError unless KVM_CAP_XEN_HVM offers all that the back-end is made of."""
    if not flags:
        raise HostError(
            "KVM here lacks KVM_CAP_XEN_HVM, which --xen-backend kvm needs; use "
            "--xen-backend userspace, or a kernel built with CONFIG_KVM_XEN"
        )
    lacks = [n for n in NEEDED if not flags & getattr(lib, f"KVM_XEN_HVM_CONFIG_{n}")]
    if lacks:
        raise HostError(
            f"KVM_CAP_XEN_HVM is {flags:#x} here and lacks {' and '.join(lacks)}, which "
            "--xen-backend kvm needs; use --xen-backend userspace, or Linux 5.19 or later with "
            "scheduler statistics"
        )


class KvmXen:
    """One domain's; see Backend for what the methods are for."""

    def __init__(self, vm: Vm, context: DeviceContext, flags: int, version: int) -> None:
        """flags: KVM_CAP_XEN_HVM's value, which has been checked."""
        self.features = abi.FEATURES
        self.has_update_flag = bool(flags & lib.KVM_XEN_HVM_CONFIG_RUNSTATE_UPDATE_FLAG)
        self._vm, self._router = vm, context.router
        self._vcpu_ids = context.apic_ids  # KVM's number of each vCPU
        self._mirrored: dict[int, tuple[int, int]] = {}  # port -> kind and target, that KVM sends
        self._told: dict[int, tuple[int, int]] = {}  # port -> (GSI, eventfd) that tells the guest
        wanted = lib.KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL | lib.KVM_XEN_HVM_CONFIG_EVTCHN_SEND
        vm.xen_hvm_config(wanted, abi.HYPERCALL_MSR)
        try:
            self._set(lib.KVM_XEN_ATTR_TYPE_XEN_VERSION, xen_version=version)
        except KvmError:
            vm.xen_hvm_config(0, 0)  # another back-end may serve this VM: hypercalls are not ours
            raise

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

    def set_shared_info(self, gpa: int | None) -> None:
        attr = ffi.new("struct kvm_xen_hvm_attr *", {"type": lib.KVM_XEN_ATTR_TYPE_SHARED_INFO})
        attr.u.shared_info.gfn = NO_GUEST_PAGE if gpa is None else gpa // abi.PAGE
        self._vm.xen_hvm_set_attr(attr)

    def set_upcall_vector(self, vector: int) -> None:
        """For vCPUs without one of their own; 0: none."""
        self._set(lib.KVM_XEN_ATTR_TYPE_UPCALL_VECTOR, vector=vector)

    def set_update_flag(self, on: bool) -> None:
        """A bit in run state areas tells that they are being written."""
        self._set(lib.KVM_XEN_ATTR_TYPE_RUNSTATE_UPDATE_FLAG, runstate_update_flag=on)

    def set_callback_gsi(self, gsi: int | None) -> None:
        """KVM does not lower a line when the guest has taken its events."""
        if gsi is not None:
            raise XenError(abi.EINVAL)

    # --- event channels

    def opened(self, port: int, vcpu: int) -> None:
        """Nothing: KVM does not ask."""

    def closed(self, port: int) -> None:
        self.disconnect(port)

    def connect(self, port: int, kind: int, target: int, vcpu: int) -> None:
        """What the guest sends to `port` arrives at its own port `target`, which tells `vcpu`."""
        known = self._mirrored.get(port) == (kind, target)
        if not known:
            self.disconnect(port)
        attr = ffi.new("struct kvm_xen_hvm_attr *", {"type": lib.KVM_XEN_ATTR_TYPE_EVTCHN})
        evtchn = attr.u.evtchn
        evtchn.send_port, evtchn.type = port, kind
        evtchn.flags = lib.KVM_XEN_EVTCHN_UPDATE if known else 0
        evtchn.deliver.port.port = target
        evtchn.deliver.port.vcpu = self._vcpu_ids[vcpu]
        evtchn.deliver.port.priority = PRIORITY_2LEVEL
        self._vm.xen_hvm_set_attr(attr)
        self._mirrored[port] = (kind, target)

    def disconnect(self, port: int) -> None:
        """What the guest sends to `port` is a hypercall for us again."""
        if port not in self._mirrored:
            return
        self._forget(lib.KVM_XEN_EVTCHN_DEASSIGN, port)
        del self._mirrored[port]

    def _forget(self, how: int, port: int = 0) -> None:
        attr = ffi.new("struct kvm_xen_hvm_attr *", {"type": lib.KVM_XEN_ATTR_TYPE_EVTCHN})
        attr.u.evtchn.send_port, attr.u.evtchn.flags = port, how
        self._vm.change("KVM_XEN_HVM_SET_ATTR", attr, f"port {port}")

    def open_channel(self, port: int, vcpu: int, kick: int, call: int) -> None:
        """What the guest sends to `port` is counted in the eventfd `kick`, and writing `call` is an
        event of that port for `vcpu`; also for a port that was opened before, when its vCPU has
        changed. The descriptors stay the caller's, and open.
        """
        known = self._told.get(port)
        gsi = known[0] if known else self._router.alloc_gsi()
        self._router.set_xen_evtchn(gsi, port, self._vcpu_ids[vcpu], PRIORITY_2LEVEL)
        self._router.commit()
        if known is not None:
            return
        self._router.attach(gsi, call)
        self._told[port] = gsi, call
        attr = ffi.new("struct kvm_xen_hvm_attr *", {"type": lib.KVM_XEN_ATTR_TYPE_EVTCHN})
        attr.u.evtchn.send_port, attr.u.evtchn.type = port, abi.EVTCHNSTAT_interdomain
        attr.u.evtchn.deliver.eventfd.fd = kick
        self._vm.xen_hvm_set_attr(attr)
        self._mirrored[port] = (abi.EVTCHNSTAT_interdomain, 0)

    def close_channel(self, port: int) -> None:
        """Ends `open_channel()`."""
        self.disconnect(port)
        gsi, call = self._told.pop(port, (-1, -1))
        if gsi >= 0:
            self._router.detach(gsi, call)
            self._router.free_gsi(gsi)
            self._router.commit()

    def send(self, port: int, vcpu: int) -> bool:
        """Sets the port's pending bit and tells the vCPU. False: there is no page to set it in."""
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
        _set_vcpu(vcpu, lib.KVM_XEN_VCPU_ATTR_TYPE_VCPU_ID, vcpu_id=index)

    def vcpu_info(self, vcpu: KvmVcpu, gpa: int | None) -> None:
        _set_page(vcpu, lib.KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, gpa)

    def vcpu_time_info(self, vcpu: KvmVcpu, gpa: int | None) -> None:
        _set_page(vcpu, lib.KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO, gpa)

    def vcpu_runstate(self, vcpu: KvmVcpu, gpa: int | None) -> None:
        _set_page(vcpu, lib.KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR, gpa)

    def vcpu_runstate_times(self, vcpu: KvmVcpu) -> tuple[int, int, tuple[int, ...]]:
        """State, when it began, and nanoseconds running, runnable, blocked and offline."""
        kind = lib.KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_DATA
        run = _get_vcpu(vcpu, kind).u.runstate
        times = (run.time_running, run.time_runnable, run.time_blocked, run.time_offline)
        return int(run.state), int(run.state_entry_time), times

    def vcpu_runstate_now(self, vcpu: KvmVcpu, state: int) -> None:
        """The state that it is in while it does not run; KVM notes by itself when it does."""
        kind = lib.KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT
        _set_vcpu(vcpu, kind, runstate={"state": state})

    def vcpu_call_again(self, vcpu: KvmVcpu, call: Call, params: tuple[int, ...]) -> None:
        """Three bytes are what both instructions have; a prefix is left out the second time."""
        call.repeat(vcpu, CALL_BYTES, params)

    def vcpu_upcall_vector(self, vcpu: KvmVcpu, vector: int) -> None:
        """A vector of its local APIC, to be ended with EOI; 0: the domain's."""
        _set_vcpu(vcpu, lib.KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR, vector=vector)

    def vcpu_timer(self, vcpu: KvmVcpu, port: int, expires: int = 0) -> None:
        """The port of its timer, 0 for none; `expires`: when it next goes off, 0 for never."""
        timer = {"port": port, "priority": PRIORITY_2LEVEL, "expires_ns": expires}
        attr = ffi.new(
            "struct kvm_xen_vcpu_attr *",
            {"type": lib.KVM_XEN_VCPU_ATTR_TYPE_TIMER, "u": {"timer": timer}},
        )
        vcpu.xen_set_attr(attr)

    def vcpu_woken(self, vcpu: KvmVcpu) -> None:
        """Nothing: attributes outlive INIT."""

    def vcpu_msr_written(self, vcpu: KvmVcpu, index: int, value: int) -> bool:
        """KVM takes the hypercall page's MSR itself; no other exits."""
        return False

    def now(self) -> int:
        """The domain's system time in nanoseconds."""
        return int(self._vm.get_clock().clock)

    def claim(self, pio: Bus) -> None:
        """Nothing: hypercalls are exits of their own."""

    def close(self) -> None:
        """What KVM knows of it ends with the VM."""

    def loaded(self, pieces: list[tuple[int, int]]) -> None:
        """Nothing: KVM finds hypercalls wherever they are."""

    def counters(self) -> dict[str, int]:
        """What KVM answers it does not count here."""
        return {}

    def reset(self) -> None:
        """The domain's part as at the start; the vCPUs' parts are set one by one."""
        if self._mirrored:
            self._forget(lib.KVM_XEN_EVTCHN_RESET)
            self._mirrored.clear()
        self.set_shared_info(None)
        self.set_upcall_vector(0)
        if self.has_update_flag:
            self.set_update_flag(False)
        self.set_wide(False)


def _set_vcpu(vcpu: KvmVcpu, kind: int, **fields: Any) -> None:
    vcpu.xen_set_attr(ffi.new("struct kvm_xen_vcpu_attr *", {"type": kind, "u": fields}))


def _get_vcpu(vcpu: KvmVcpu, kind: int) -> Any:
    attr = ffi.new("struct kvm_xen_vcpu_attr *", {"type": kind})
    vcpu.xen_get_attr(attr)
    return attr


def _set_page(vcpu: KvmVcpu, kind: int, gpa: int | None) -> None:
    _set_vcpu(vcpu, kind, gpa=NO_GUEST_PAGE if gpa is None else gpa)
