"""PIRQs with KVM's help: messages are routes (KVM_IRQ_ROUTING_XEN_EVTCHN), pins core/xen/xenpirq.h.

A device's eventfd that reaches the guest as a message reaches it as an event just so: the kernel
does it, whoever the device is.
"""

from __future__ import annotations

from vmm.native import check, ffi, lib, made

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.context import DeviceContext


class KvmPirqs:
    """Of one domain. `begin()` when the interrupt chips are there. Context: the domain's lock."""

    def __init__(self, context: DeviceContext) -> None:
        self._hub, self._router, self._vm_fd = context.irq, context.router, context.vm_fd
        self._memory, self._ram = context.memory, context.memory.accessor("xen pirqs")
        self._vcpu_ids = context.apic_ids
        self._pins: Any = None
        self._pass_all = False
        self._bound: set[int] = set()  # PIRQs of messages
        self._gsis: set[int] = set()
        context.router.use_pirqs()

    def begin(self) -> None:
        pointer = lib.xenpirq_create(self._hub, self._vm_fd)
        self._pins = made(pointer, lib.xenpirq_destroy, "a Xen domain's pins", self._hub)
        if self._pass_all:
            self.answer_all()

    def add_vcpu(self, pointer: Any) -> None:
        """The `struct vcpu *`'s `eoi` calls are answered in C, after `begin()`."""
        args = (pointer, self._memory.pointer, self._ram.dev)
        lib.xenpirq_answer(self._pins, *args)

    def answer_all(self) -> None:
        """`eoi` calls come to Python."""
        self._pass_all = True
        if self._pins is not None:
            lib.xenpirq_pass_all(self._pins)

    def close(self) -> None:
        """No vCPU runs."""
        if self._pins is not None:
            ffi.release(self._pins)
            self._pins = None

    def bind_gsi(self, gsi: int, port: int, vcpu: int) -> None:
        number = self._vcpu_ids[vcpu] if port else 0
        check(lib.xenpirq_bind(self._pins, gsi, port, number), "xenpirq_bind", f"GSI {gsi}")
        (self._gsis.add if port else self._gsis.discard)(gsi)

    def bind_message(self, pirq: int, port: int, vcpu: int) -> None:
        if not port and pirq not in self._bound:
            return
        self._router.set_pirq(pirq, port, self._vcpu_ids[vcpu] if port else 0)
        (self._bound.add if port else self._bound.discard)(pirq)
        self._router.commit()

    def set_level(self, pirq: int, gsi: int | None) -> None:
        lib.xenpirq_set_level(self._pins, pirq, -1 if gsi is None else gsi)

    def eoi(self, gsi: int) -> None:
        lib.xenpirq_eoi(self._pins, gsi)

    def quiet(self) -> None:
        """Nothing is an event any more, until it is bound again."""
        for gsi in list(self._gsis):
            self.bind_gsi(gsi, 0, 0)
        for pirq in list(self._bound):
            self.bind_message(pirq, 0, 0)

    def counters(self) -> dict[str, int]:
        if self._pins is None:
            return {}
        counts = {"pin_events": int(self._pins.events), "pin_eois": int(self._pins.eois)}
        return {name: n for name, n in counts.items() if n}
