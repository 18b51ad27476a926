"""The back-end for kernels without KVM_XEN: hypercalls are port writes, events MSIs, clocks KVM's.

Whatever guests do all the time is answered in C (core/xen/xenus.h). Clocks need no help either: the
record that KVM keeps for its own guests (MSR_KVM_SYSTEM_TIME_NEW) is Xen's, byte for byte, so the
MSR is set from here to where Xen's belongs.

What it cannot keep it does not offer: one vector for all vCPUs would have to arrive without the
guest ending it with EOI, which KVM's local APIC does not do.
"""

from __future__ import annotations

import os
import time

from vmm.native import check, ffi, lib, made
from vmm.xen import abi, cpuid
from vmm.xen.abi import XenError
from vmm.xen.callbackline import CallbackLine
from vmm.xen.userclock import write_wallclock
from vmm.xen.usersite import Interception

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

MSR_KVM_SYSTEM_TIME_NEW = 0x4B564D01
ENABLED = 1
CALL_BYTES, OUT_BYTES = 3, 2  # VMCALL or VMMCALL behind a breakpoint; OUT
TIME_AT = 32  # of the clock's record in vcpu_info
XENFEAT_hvm_callback_vector = 1 << 8


class UserXen:
    """One domain's; see Backend for what the methods are for."""

    def __init__(
        self, vm: Vm, context: DeviceContext, version: int, *, breakpoints: bool = False
    ) -> None:
        self.features = abi.FEATURES
        self.has_update_flag = True
        self.hypercall_msr = cpuid.hypercall_msr(hyperv=context.config.hyperv)
        self.pirqs: Deliver | None = None  # an eventfd would need a turn of the loop for each
        if version < abi.VERSION_UPCALL_VECTOR:
            self.features &= ~XENFEAT_hvm_callback_vector
        if version >= abi.VERSION_PHYS_AREAS:
            self.features |= abi.XENFEAT_runstate_phys_area  # see vcpu_time_info
        memory, core = context.memory, context.core
        self._vm = vm
        self._memory = memory.accessor("xen events")
        self._vcpus: list[KvmVcpu] = []
        self._infos: dict[int, int | None] = {}  # vcpu_info of each
        self._open: set[int] = set()
        self._shared: int | None = None
        self._wide = False
        self.site = Interception(vm, self._memory, self.hypercall_msr, breakpoints=breakpoints)
        loop = context.loop.pointer
        count = len(context.apic_ids)
        args = (core, memory.pointer, self._memory.dev, context.clock, loop)
        keep = (*args, context.loop)
        pointer = lib.xenus_create(*args, count)
        self._x: Any = made(pointer, lib.xenus_destroy, "the Xen domain", *keep)
        self._line = CallbackLine(context, self._x)
        self._pio: Bus | None = None

    def claim(self, pio: Bus) -> None:
        pio.claim(lib.XENUS_PORT, 1, ffi.addressof(self._x, "dev"), "xen hypercalls", keep=self)
        self._pio = pio

    def close(self) -> None:
        if self._pio is not None:
            self._pio.release(lib.XENUS_PORT, 1)
            self._pio.quiesce()
            self._pio = None
        self._line.set(None)
        ffi.release(self._x)

    def reset(self) -> None:
        self._line.set(None)
        self.set_update_flag(False)
        self.set_shared_info(None)
        self.set_wide(False)
        for port in sorted(self._open):
            self.closed(port)
        lib.xenus_end_polls(self._x)
        for index in range(len(self._vcpus) if self.site.linear is not None else 0):
            self._watch(index, (0, 0))
            lib.xenus_share_sites(self._x, index, 0, 0)
        self.site.arm()

    def loaded(self, pieces: list[tuple[int, int]]) -> None:
        self.site.look_in(pieces)

    def answer_all(self) -> None:
        """All but polls and yields, which have to wait in C."""
        lib.xenus_pass_all(self._x)

    def observe(self, observer: Observer) -> None:
        observer.follow_quick(self._x)

    def counters(self) -> dict[str, int]:
        counts = ffi.new("struct xenus_counters *")
        lib.xenus_counters(self._x, counts)
        found = {f"found by {self.site.how}": 1} if self.site.how else {}
        return {**{name: n for name in dir(counts) if (n := getattr(counts, name))}, **found}

    # --- the domain

    def wide(self) -> bool:
        return self._wide

    def set_wide(self, wide: bool) -> None:
        self._wide = wide
        lib.xenus_set_wide(self._x, wide)
        if self._shared is not None:
            write_wallclock(self._memory, self._shared, self._wide, self._started_at())

    def set_shared_info(self, gpa: int | None) -> None:
        self._shared = gpa
        if gpa is not None:
            write_wallclock(self._memory, gpa, self._wide, self._started_at())
        lib.xenus_set_page(self._x, lib.XENUS_NOWHERE if gpa is None else gpa)

    def _started_at(self) -> int:
        """Nanoseconds since 1970 when the domain's system time was 0."""
        clock = self._vm.get_clock()
        known = clock.flags & lib.KVM_CLOCK_REALTIME
        return int(clock.realtime if known else time.time_ns()) - int(clock.clock)

    def set_upcall_vector(self, vector: int) -> None:
        """Nothing: it is not offered, and vCPUs without a vector of their own hear nothing."""

    def set_update_flag(self, on: bool) -> None:
        lib.xenus_set_update_flag(self._x, on)

    def set_callback_gsi(self, gsi: int | None) -> bool:
        self._line.set(gsi)
        return False

    def now(self) -> int:
        return int(self._vm.get_clock().clock)

    # --- event channels

    def opened(self, port: int, vcpu: int) -> None:
        self._open.add(port)
        lib.xenus_open(self._x, port, vcpu)

    def closed(self, port: int) -> None:
        self._open.discard(port)
        lib.xenus_close(self._x, port)

    def connect(self, port: int, kind: int, target: int, vcpu: int) -> None:
        lib.xenus_connect(self._x, port, target, vcpu)

    def disconnect(self, port: int) -> None:
        lib.xenus_connect(self._x, port, 0, 0)

    def open_channel(self, port: int, vcpu: int, kick: int, call: int) -> None:
        result = lib.xenus_open_channel(self._x, port, vcpu, kick, call)
        check(result, "xenus_open_channel", f"port {port}")

    def close_channel(self, port: int) -> None:
        lib.xenus_close_channel(self._x, port)

    def send(self, port: int, vcpu: int) -> bool:
        return lib.xenus_send(self._x, port, vcpu) == 0

    def raise_vector(self, vcpu: int, vector: int) -> None:
        lib.xenus_tell(self._x, vcpu)

    # --- one vCPU

    def vcpu_begin(self, vcpu: KvmVcpu, index: int, pointer: Any) -> None:
        lib.xenus_add_vcpu(self._x, index, pointer)
        self._vcpus.append(vcpu)
        if index == 0:
            self.site.arm()

    def vcpu_info(self, vcpu: KvmVcpu, gpa: int | None) -> None:
        """The clock's MSR is written whether or not the place is new: INIT takes it away."""
        index = self._vcpus.index(vcpu)
        if gpa is not None and gpa % 8:
            raise XenError(abi.EINVAL)  # words in it are changed atomically
        self._infos[index] = gpa
        lib.xenus_set_info(self._x, index, lib.XENUS_NOWHERE if gpa is None else gpa)
        if gpa is None:
            vcpu.set_msrs({MSR_KVM_SYSTEM_TIME_NEW: 0})
            return
        vcpu.set_msrs({MSR_KVM_SYSTEM_TIME_NEW: gpa + TIME_AT | ENABLED})
        self._lend_clock(index, gpa + TIME_AT)

    def _lend_clock(self, index: int, gpa: int) -> None:
        """KVM fills the record when the vCPU next runs; until then the first one's will do."""
        own = self._infos.get(0)
        if index and own is not None and self._memory.read(gpa, abi.TIME_INFO_SIZE) == bytes(32):
            self._memory.write(gpa, self._memory.read(own + TIME_AT, abi.TIME_INFO_SIZE))

    def vcpu_time_info(self, vcpu: KvmVcpu, gpa: int | None) -> None:
        """KVM keeps one clock for each vCPU, and that is the one in vcpu_info."""
        if gpa is not None:
            raise XenError(abi.ENOSYS)

    def vcpu_runstate(self, vcpu: KvmVcpu, gpa: int | None) -> None:
        index = self._vcpus.index(vcpu)
        if gpa is not None:
            self._know_thread(index)
        lib.xenus_set_runstate(self._x, index, lib.XENUS_NOWHERE if gpa is None else gpa)

    def vcpu_runstate_times(self, vcpu: KvmVcpu) -> tuple[int, int, tuple[int, ...]]:
        index = self._vcpus.index(vcpu)
        self._know_thread(index)
        found = ffi.new("struct xenus_runstate *")
        check(lib.xenus_runstate(self._x, index, found), "xenus_runstate", f"vCPU {index}")
        return 0, int(found.now), tuple(found.times)

    def _know_thread(self, index: int) -> None:
        """Where the host's scheduler accounts for this thread, which is the vCPU's."""
        try:
            fd = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return  # a host without scheduler statistics: nothing is told
        lib.xenus_set_schedstat(self._x, index, fd)

    def vcpu_upcall_vector(self, vcpu: KvmVcpu, vector: int) -> None:
        lib.xenus_set_vector(self._x, self._vcpus.index(vcpu), vector)

    def vcpu_timer(self, vcpu: KvmVcpu, port: int, expires: int = 0) -> None:
        lib.xenus_set_timer_port(self._x, self._vcpus.index(vcpu), port, expires)

    def vcpu_runstate_now(self, vcpu: KvmVcpu, state: int) -> None:
        """Nothing: the host's scheduler says what a thread does, and not why."""

    def vcpu_call_again(self, vcpu: KvmVcpu, call: Call, params: tuple[int, ...]) -> None:
        call.repeat(vcpu, CALL_BYTES if self.site.breakpoints else OUT_BYTES, params)

    def vcpu_woken(self, vcpu: KvmVcpu) -> None:
        index = self._vcpus.index(vcpu)
        gpa = self._infos.get(index)
        if gpa is not None:
            self.vcpu_info(vcpu, gpa)
        self._set_breakpoints(index)

    def _set_breakpoints(self, index: int) -> None:
        """Nothing while the place is not known: what runs then makes no calls yet."""
        if self.site.linear is not None:
            self._watch(index, self.site.linear)

    def _watch(self, index: int, sites: tuple[int, int]) -> None:
        result = lib.xenus_set_sites(self._x, index, *sites)
        check(result, "KVM_SET_GUEST_DEBUG", f"vCPU {index}")

    def vcpu_msr_written(self, vcpu: KvmVcpu, index: int, value: int) -> bool:
        if index == self.hypercall_msr:
            self.site.fill_page(value)
            return True
        if not self.site.written(vcpu, index, value):
            return False
        own = self._vcpus.index(vcpu)
        self._set_breakpoints(own)
        if self.site.linear is not None:  # others run already where a kernel has started another
            lib.xenus_share_sites(self._x, own, *self.site.linear)
        return True
