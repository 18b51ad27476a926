"""What a back-end is: how events, clocks and hypercalls of a domain reach its vCPUs.

The port table, the parameters and the answers of hypercalls know no more of it than this. There are
`kvmxen.KvmXen`, which leaves the work to KVM, and `userxen.UserXen` for kernels without KVM_XEN.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from vmm.bus import Bus
    from vmm.kvm.vcpu import KvmVcpu
    from vmm.xen.call import Call
    from vmm.xen.pirqs import Deliver
    from vmm.xen.seen import Observer

    class Backend(Protocol):
        """One domain's. Methods named vcpu_* only on that vCPU's thread, or while it is parked.

        Pages are guest-physical addresses, `None` for none. KvmError where the kernel refuses,
        XenError for what the back-end cannot do at all.
        """

        features: int  # XENFEAT_* bits: what it can keep, and nothing else
        hypercall_msr: int  # by which a guest asks for a page of calls
        pirqs: Deliver | None  # who brings devices' interrupts as events, if that is offered

        def claim(self, pio: Bus) -> None: ...
        def close(self) -> None: ...
        def reset(self) -> None:
            """The domain's part as at the start; the vCPUs' parts are set one by one."""

        def loaded(self, pieces: list[tuple[int, int]]) -> None:
            """The kernel lies in these (base, length) now, and has not run yet."""

        def answer_all(self) -> None:
            """Calls that are answered below Python come to Python from here on, if they can."""

        def observe(self, observer: Observer) -> None:
            """Has it follow the calls that never come to Python. Before vCPUs run."""

        def counters(self) -> dict[str, int]:
            """Calls that were answered below Python, and what came of them."""

        # --- the domain
        def wide(self) -> bool:
            """Whether shared pages have the 64-bit layout."""

        def set_wide(self, wide: bool) -> None: ...
        def set_shared_info(self, gpa: int | None) -> None:
            """From here on the page is there, and its wallclock is right."""

        def set_upcall_vector(self, vector: int) -> None:
            """For vCPUs without one of their own; 0: none."""

        has_update_flag: bool  # whether set_update_flag() does something

        def set_update_flag(self, on: bool) -> None:
            """A bit in run state areas tells that they are being written."""

        def set_callback_gsi(self, gsi: int | None) -> bool:
            """The line that tells the first vCPU while it has no vector; `None`: none.

            True: events take another way from here on. Ports, channels and timers are to be made
            known once more, and so is what belongs to vCPUs.
            """

        def now(self) -> int:
            """The domain's system time in nanoseconds."""

        # --- event channels
        def opened(self, port: int, vcpu: int) -> None:
            """The port is open and tells `vcpu`; again whenever that changes."""

        def closed(self, port: int) -> None: ...
        def connect(self, port: int, kind: int, target: int, vcpu: int) -> None:
            """What the guest sends to `port` arrives at its own `target`, which tells `vcpu`."""

        def disconnect(self, port: int) -> None:
            """What the guest sends to `port` is a hypercall for us again."""

        def open_channel(self, port: int, vcpu: int, kick: int, call: int) -> None:
            """What the guest sends to `port` is counted in the eventfd `kick`, and writing `call`
            is an event of that port for `vcpu`; also for a port that was opened before, when its
            vCPU has changed. The descriptors stay the caller's, and open.
            """

        def close_channel(self, port: int) -> None: ...
        def send(self, port: int, vcpu: int) -> bool:
            """Sets the port's pending bit and tells the vCPU. False: there is no page for it."""

        def raise_vector(self, vcpu: int, vector: int) -> None:
            """An upcall for the vCPU by its own vector."""

        # --- one vCPU
        def vcpu_begin(self, vcpu: KvmVcpu, index: int, pointer: Any) -> None:
            """Once, before it runs. pointer: the `struct vcpu *`."""

        def vcpu_info(self, vcpu: KvmVcpu, gpa: int | None) -> None:
            """Its clock is there, too, and right when the vCPU runs on."""

        def vcpu_time_info(self, vcpu: KvmVcpu, gpa: int | None) -> None: ...
        def vcpu_runstate(self, vcpu: KvmVcpu, gpa: int | None) -> None: ...
        def vcpu_runstate_times(self, vcpu: KvmVcpu) -> tuple[int, int, tuple[int, ...]]:
            """State, when it began, and nanoseconds running, runnable, blocked and offline."""

        def vcpu_runstate_now(self, vcpu: KvmVcpu, state: int) -> None:
            """The RUNSTATE_* that it is in while it does not run."""

        def vcpu_call_again(self, vcpu: KvmVcpu, call: Call, params: tuple[int, ...]) -> None:
            """The hypercall that was just answered is made again, with these arguments."""

        def vcpu_upcall_vector(self, vcpu: KvmVcpu, vector: int) -> None:
            """A vector of its local APIC, to be ended with EOI; 0: the domain's."""

        def vcpu_timer(self, vcpu: KvmVcpu, port: int, expires: int = 0) -> None:
            """The port of its timer, 0 for none; `expires`: when it goes off, 0 for never."""

        def vcpu_woken(self, vcpu: KvmVcpu) -> None:
            """INIT came, which took away what was set before; the vCPU has not run since."""

        def vcpu_msr_written(self, vcpu: KvmVcpu, index: int, value: int) -> bool:
            """The guest wrote an MSR that exits. False: it is none of ours."""
