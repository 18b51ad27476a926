"""The domain: its shared pages, ports and parameters, and keeping the back-end in step with them.

What the guest asks for changes the state here under one lock; a part that belongs to a vCPU is then
carried out on that vCPU's thread from the state as it is by then, so that the last word wins.
"""

from __future__ import annotations

from vmm.closing import close_all
from vmm.errors import KvmError, StateError
from vmm.native import ffi, lib
from vmm.threads import Lock
from vmm.xen import abi, cpuid, sharedinfo, vcpus
from vmm.xen.abi import XenError
from vmm.xen.evtchn import PortTable
from vmm.xen.pirqs import PirqTable
from vmm.xen.platform import PlatformPorts
from vmm.xen.reservation import Reservation
from vmm.xen.services import Services
from vmm.xen.timers import PeriodicTimers, Watchdogs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vmm.bus import Bus
    from vmm.context import DeviceContext
    from vmm.kvm.cpuid import CpuidEntry
    from vmm.kvm.vcpu import KvmVcpu
    from vmm.xen.backend import Backend
    from vmm.xen.call import Call
    from vmm.xen.seen import Observer

    Answerer = Callable[[Call, Callable[[], int]], int]
    MemoryMap = list[tuple[int, int, int]]  # (base, length, type) of each area, as in e820

PORTS_WIDE, PORTS_NARROW = lib.EVTCHN_PORTS64, lib.EVTCHN_PORTS32


class XenDomain:
    """A device of the machine. `count`: how many vCPUs `add_vcpu()` will bring.

    `carry_out(caller, target, function)` runs a function on the thread of vCPU `target` for vCPU
    `caller`, which waits; both are places in that order. `hold(target, held)` keeps a vCPU out of
    the guest. Both are set before any vCPU runs.
    """

    def __init__(self, backend: Backend, context: DeviceContext, count: int, version: int) -> None:
        self.name = "xen"
        self.backend, self.version = backend, version
        self.platform = PlatformPorts(context.upcalls)
        memory = context.memory
        self.reservation = Reservation(memory)
        self.watchdogs = Watchdogs(context.loop)
        self.periodic = PeriodicTimers(context.loop, self.tick)
        self.memory = memory.accessor("xen")
        self.kvm: list[KvmVcpu] = []
        self.carry_out: Callable[[int, int, Callable[[], Any]], Any] = lambda _c, _t, run: run()
        self.hold: Callable[[int, bool], None] = lambda _target, _held: None
        # Guards all below; held over ioctls of the VM, over no wait and none of a vCPU.
        self.lock = Lock()
        self.ports = PortTable(count)
        self.pirqs = None if backend.pirqs is None else PirqTable(backend.pirqs)
        self._messages = context.config.xen_pirqs == "pins"  # go to local APICs
        self.shared: int | None = None
        self._latched = False
        self._clear()
        self.calls: dict[str, int] = {}  # that came here, by name
        self.refused: dict[str, int] = {}  # ... and got an error, by name and number
        self.observer: Observer | None = None  # of --trace xen
        # Experiments: (number, sub-operation) -> what answers (hypercalls.answer_by).
        self.handlers: dict[tuple[int, int], Answerer] = {}
        self.memory_map: Callable[[], MemoryMap] = list
        self._bits = ffi.new("struct evtchn *")
        self._bits.memory, self._bits.dev = memory.pointer, self.memory.dev
        self.services = Services(context, self)

    def add_vcpu(self, kvm: KvmVcpu, pointer: Any) -> None:
        """The next one, whose `struct vcpu *` is `pointer`. Before it runs."""
        self.backend.vcpu_begin(kvm, len(self.kvm), pointer)
        self.kvm.append(kvm)
        if len(self.kvm) == 1:
            self.services.channels.start()

    def leaves(self, vcpu: int, tsc_khz: int) -> list[CpuidEntry]:
        """What CPUID shows of it."""
        msr, messages = self.backend.hypercall_msr, self._messages
        return cpuid.leaves(self.version, vcpu, tsc_khz, msr, messages=messages)

    def without_kvm(self, supported: list[CpuidEntry]) -> list[CpuidEntry]:
        """What CPUID shows besides, of what KVM supports."""
        return cpuid.without_hypervisor(supported)

    def _clear(self) -> None:
        self.vcpus = [vcpus.XenVcpu() for _ in range(self.ports.vcpus)]
        self.params = dict.fromkeys(
            (
                abi.HVM_PARAM_CALLBACK_IRQ, abi.HVM_PARAM_VM86_TSS, abi.HVM_PARAM_VM86_TSS_SIZED,
                abi.HVM_PARAM_ACPI_IOPORTS_LOCATION, abi.HVM_PARAM_VM_GENERATION_ID_ADDR,
                abi.HVM_PARAM_X87_FIP_WIDTH, abi.HVM_PARAM_STORE_PFN, abi.HVM_PARAM_STORE_EVTCHN,
                abi.HVM_PARAM_CONSOLE_PFN, abi.HVM_PARAM_CONSOLE_EVTCHN, abi.HVM_PARAM_ALTP2M,
            ),
            0,
        )  # fmt: skip
        self.vector = 0  # of vCPUs that have none of their own
        if self.pirqs is not None:
            self.pirqs.reset()
        self.ports.reset()
        self.ports.limit = PORTS_WIDE
        self.shared, self._latched = None, False
        self.shutdown_code: int | None = None  # see schedop
        self.reservation.reset()
        self.watchdogs.reset()
        self.periodic.reset()

    def reset(self) -> None:
        """As after building. All vCPUs must be parked."""
        self.soft_reset()
        self.platform.reset()

    def soft_reset(self) -> None:
        """The same, for a guest that runs on: a kernel that starts another.

        vCPUs that stood still wait to be started, as the next kernel expects of them.
        """
        self.services.halt()
        with self.lock:
            self.services.end()
            self.backend.reset()
            for index, own in enumerate(self.vcpus):
                if own.down:
                    self.kvm[index].set_mp_state(lib.KVM_MP_STATE_UNINITIALIZED)
                    self.hold(index, False)
            self._clear()
            self.services.begin()
        for index in range(len(self.kvm)):
            vcpus.apply(self, index)
            vcpus.apply_timer(self, index)

    def claim(self, pio: Bus, mmio: Bus) -> None:
        self.platform.claim(pio)
        self.backend.claim(pio)

    def close(self) -> None:
        """Off the buses."""
        observer = () if self.observer is None else (self.observer,)
        parts = (self.watchdogs, self.periodic, self.services, self.platform, *observer)
        close_all(part.close for part in (*parts, self.backend))

    def loaded(self, pieces: list[tuple[int, int]], memory_map: Callable[[], MemoryMap]) -> None:
        """The guest's kernel lies in these (base, length) now, and has not run yet.

        `memory_map()` is what it was told of memory.
        """
        self.memory_map = memory_map
        self.backend.loaded(pieces)

    def woken(self, index: int) -> None:
        """INIT came to the vCPU, which has not run since. Context: its thread."""
        self.backend.vcpu_woken(self.kvm[index])

    def msr_written(self, index: int, msr: int, value: int) -> bool:
        """An MSR write of the vCPU that exited; False: it ends in #GP. Context: its thread."""
        return self.backend.vcpu_msr_written(self.kvm[index], msr, value)

    def pause(self) -> None:
        self.services.pause()

    def resume(self) -> None:
        self.services.resume()

    def ask_halt(self) -> None:
        """Nothing takes time."""

    def halt(self) -> None:
        self.services.halt()

    def unused(self) -> str | None:
        """The kernel's option for a guest that never made a hypercall."""
        return None if self._latched else "CONFIG_XEN_PVHVM"

    def save(self) -> dict[str, Any]:
        raise StateError("A Xen domain (--xen) cannot be saved")

    def load(self, saved: dict[str, Any]) -> None:
        raise StateError("A Xen domain (--xen) cannot be loaded")

    def counters(self) -> dict[str, int]:
        refused = {f"refused {name}": n for name, n in self.refused.items()}
        beside = {**self.services.counters(), **self.backend.counters()}
        return {**self.calls, **refused, **beside}

    # --- layout

    def latch(self, wide: bool, again: bool = False) -> None:
        """Xen's rule: the mode that the guest is in when it sets itself up decides the layout.

        The lock is held.
        """
        if self._latched and not again:
            return
        self._latched = True
        if self.backend.wide() != wide:
            self.backend.set_wide(wide)
        self.ports.limit = PORTS_WIDE if wide else PORTS_NARROW

    def bits(self) -> Any:
        """The `struct evtchn *` of the shared page as it lies now, `None` without one. Locked."""
        if self.shared is None:
            return None
        self._bits.page, self._bits.wide = self.shared, self.backend.wide()
        return self._bits

    # --- pages

    def map_shared_info(self, caller: int, gpa: int) -> None:
        """shared_info lies at `gpa` from here on: RAM, whose contents are Xen's then."""
        with self.lock:
            old, self.shared = self.shared, gpa
            try:
                sharedinfo.move(self, old, gpa)
            except (KvmError, ValueError):
                self.shared = old
                raise XenError(abi.EINVAL) from None
        for index in range(min(len(self.kvm), abi.LEGACY_MAX_VCPUS)):
            if self.vcpus[index].info is None:
                vcpus.follow(self, caller, index)
        self.send_again()

    def send_again(self) -> None:
        """What is pending and not masked is told once more: a page it was told by has moved."""
        with self.lock:
            sharedinfo.send_again(self)

    def tick(self, index: int) -> None:
        """A periodic timer went off. Context: the loop's thread.

        Without the lock, under which the loop may be asked for something: a port that is closed at
        this moment is told once too often.
        """
        port = self.ports.virq_port(abi.VIRQ_TIMER, index)
        if port:
            self.backend.send(port, index)
