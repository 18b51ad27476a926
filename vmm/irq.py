"""Interrupt routing: which GSI does what, and which eventfd raises it. A facade over router.c.

With the in-kernel irqchip, GSIs below 24 are the chips' pins. With the split one they belong to
our I/O APIC, which keeps its level-triggered pins' messages in the same table (KVM looks there for
the vectors whose EOI it reports), and no irqfd may use them. The GSIs above are given out.
"""

from __future__ import annotations

from vmm import layout
from vmm.errors import HostError, VmmError
from vmm.native import check, ffi, lib, made
from vmm.threads import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.kvm.vm import Vm

KERNEL_PINS = 24
PIC_PINS = 16
TIMER_PIN = 2  # GSI 0, the timer, is I/O APIC pin 2: the MADT's interrupt source override


class IrqRouter:
    """One VM's GSIs. Changes reach KVM with `commit()`; any thread may call.

    vm: `None` in tests without KVM. legacy: the machine has a PIC that guests may use. Raises
    KvmError where the kernel refuses.
    """

    def __init__(
        self, vm: Vm | None, *, split: bool, pins: int = KERNEL_PINS, legacy: bool = False
    ) -> None:
        self.vm = vm
        self.split = split
        self.pins = pins if split else KERNEL_PINS
        vm_fd = -1 if vm is None else vm.fd.number
        self.pointer = made(lib.router_create(vm_fd), lib.router_destroy, "the interrupt router")
        self._lock = Lock()  # guards _used; a leaf
        self._used = set(range(self.pins))
        if not split:
            self._route_chips()
            if legacy:
                self._route_wires()
            self.commit()

    def _route_chips(self) -> None:
        """Each GSI below 16 drives a pin of both chips, the others one of the I/O APIC."""
        for gsi in range(KERNEL_PINS):
            if gsi == TIMER_PIN:
                continue  # the cascade between the PICs, and the I/O APIC's pin for GSI 0
            if gsi < PIC_PINS:
                self._add_pin(gsi, *_pic_input(gsi))
            self._add_pin(gsi, lib.KVM_IRQCHIP_IOAPIC, gsi or TIMER_PIN)

    def _route_wires(self) -> None:
        """PCI's wires to the PIC too.

        After the lines themselves: KVM takes the last GSI of a line for the one whose EOI it is.
        """
        for gsi, line in zip(layout.GSI_PCI_INTX, layout.PIC_PCI_INTX, strict=True):
            self._add_pin(gsi, *_pic_input(line))

    def _add_pin(self, gsi: int, chip: int, pin: int) -> None:
        check(lib.router_add_pin(self.pointer, gsi, chip, pin), "router_add_pin", f"GSI {gsi}")

    def alloc_gsi(self) -> int:
        """A GSI that nobody uses, not routed yet. VmmError when KVM has no more."""
        with self._lock:
            for gsi in range(self.pins, lib.ROUTER_MAX_GSI):
                if gsi not in self._used:
                    self._used.add(gsi)
                    return gsi
        raise VmmError(f"All {lib.ROUTER_MAX_GSI} GSIs are in use; configure fewer interrupts")

    def free_gsi(self, gsi: int) -> None:
        """Unroutes a GSI from `alloc_gsi()` and gives it back; its irqfds are detached already."""
        self.clear(gsi)
        with self._lock:
            self._used.discard(gsi)

    def set_msi(self, gsi: int, address: int, data: int) -> None:
        """Routes the GSI to a message, replacing what it was; takes effect with `commit()`."""
        result = lib.router_set_msi(self.pointer, gsi, address, data)
        check(result, "router_set_msi", f"GSI {gsi}")

    def set_xen_evtchn(self, gsi: int, port: int, vcpu: int, priority: int) -> None:
        """Routes the GSI to a Xen event channel; takes effect with `commit()`."""
        result = lib.router_set_xen(self.pointer, gsi, port, vcpu, priority)
        check(result, "router_set_xen", f"GSI {gsi}")

    def use_pirqs(self) -> None:
        """From here on messages with vector 0 name PIRQs of a Xen domain."""
        lib.router_use_pirqs(self.pointer)

    def set_pirq(self, pirq: int, port: int, vcpu: int) -> None:
        """Binds a PIRQ to an event channel, port 0 to none; takes effect with `commit()`."""
        result = lib.router_set_pirq(self.pointer, pirq, port, vcpu)
        check(result, "router_set_pirq", f"PIRQ {pirq}")

    def clear(self, gsi: int) -> None:
        """Unroutes the GSI; takes effect with `commit()`."""
        lib.router_clear(self.pointer, gsi)

    def commit(self) -> None:
        """Makes KVM use the table: one KVM_SET_GSI_ROUTING, none if nothing has changed."""
        check(lib.router_commit(self.pointer), "KVM_SET_GSI_ROUTING")

    def entries(self) -> list[tuple[int, int, int, int]]:
        """(GSI, KVM_IRQ_ROUTING_* type, MSI address or chip or port, MSI data or pin or vCPU)."""
        table = ffi.new("struct router_entry[]", lib.ROUTER_MAX_ROUTES)
        count = lib.router_entries(self.pointer, table, lib.ROUTER_MAX_ROUTES)
        return [(e.gsi, e.type, e.address, e.data) for e in table[0:count]]

    def commits(self) -> int:
        """How often the table was given to KVM."""
        return int(lib.router_commits(self.pointer))

    def attach(self, gsi: int, fd: int) -> None:
        """Writing the eventfd `fd` raises the GSI, as an edge, from here on (KVM_IRQFD).

        The GSI must be routed, and the route committed, before.
        """
        if self.split and gsi < self.pins:
            raise HostError(
                f"An irqfd cannot drive GSI {gsi}: with --irqchip split it is a pin of the I/O APIC"
            )
        self._irqfd(gsi, fd, 0)

    def detach(self, gsi: int, fd: int) -> None:
        """Ends `attach()`; when it returns, writing `fd` raises nothing any more."""
        self._irqfd(gsi, fd, lib.KVM_IRQFD_FLAG_DEASSIGN)

    def _irqfd(self, gsi: int, fd: int, flags: int) -> None:
        if self.vm is None:
            return
        argument = ffi.new("struct kvm_irqfd *", {"fd": fd, "gsi": gsi, "flags": flags})
        self.vm.fd.ioctl("KVM_IRQFD", argument, about=f"GSI {gsi}")


def _pic_input(line: int) -> tuple[int, int]:
    """Chip and pin."""
    chip = lib.KVM_IRQCHIP_PIC_MASTER if line < 8 else lib.KVM_IRQCHIP_PIC_SLAVE
    return chip, line % 8
