"""The split irqchip: 8254, 8259 pair and I/O APIC in C, the local APICs in the kernel.

With the in-kernel irqchip none of these exist here, but a Xen guest's 8254 (VmConfig.own_pit).
"""

from __future__ import annotations

from vmm import layout
from vmm.cdevice import CDevice
from vmm.native import ffi, lib, made

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.cdevice import Claim
    from vmm.context import DeviceContext

PAGE = 0x1000
INDEX_BYTES = 4  # at the start of the page; an access to the data follows a write there


def interval_timer(context: DeviceContext) -> CDevice:
    """The 8254 with port 0x61."""
    pointer = lib.pit_create(context.irq, layout.GSI_PIT, context.clock, context.loop.pointer)
    if pointer and context.config.hides_count2:
        lib.pit_hide_count2(pointer)
    claims: list[Claim] = [
        ("pio", layout.PORT_PIT, 4, lib.PIT_COUNTERS),
        ("pio", layout.PORT_SPEAKER, 1, lib.PIT_PORT61),
    ]
    return CDevice("pit", pointer, claims, kind="pit")


def pic_pair() -> CDevice:
    """The two 8259A with their edge/level registers."""
    claims: list[Claim] = [
        ("pio", layout.PORT_PIC_MASTER, 2, lib.PIC_MASTER),
        ("pio", layout.PORT_PIC_SLAVE, 2, lib.PIC_SLAVE),
        ("pio", layout.PORT_ELCR, 2, lib.PIC_ELCR),
    ]
    return CDevice("pic", lib.pic_create(), claims, kind="pic")


class IoApic(CDevice):
    """The I/O APIC; as the last of the three it connects them to the lines, the vCPUs and KVM."""

    kind = "ioapic"

    def __init__(self, context: DeviceContext, pic: CDevice) -> None:
        pointer = lib.ioapic_create(context.config.ioapic_pins)
        super().__init__("ioapic", pointer, [("mmio", layout.IOAPIC, PAGE, 0)])
        self._context = context
        context.coalesce.always(layout.IOAPIC, INDEX_BYTES, pio=False)
        lib.ioapic_set_router(self.pointer, context.router.pointer)
        if context.vm_fd >= 0:
            lib.ioapic_use_kvm(self.pointer, context.vm_fd)
        sink = lib.split_sink_create(pic.pointer, self.pointer)
        self._sink = made(sink, lib.split_sink_destroy, "the split irqchip")
        lib.split_sink_attach(self._sink, context.irq)
        if context.core is not None:
            lib.vmcore_set_split_irqchip(context.core, pic.pointer, self.pointer)

    def close(self) -> None:
        """Disconnects first: lines and end-of-interrupt exits find no chip from then on."""
        if self.pointer is not None:
            context = self._context
            lib.split_sink_detach(self._sink, context.irq)
            if context.core is not None:
                lib.vmcore_set_split_irqchip(context.core, ffi.NULL, ffi.NULL)
            lib.ioapic_set_router(self.pointer, ffi.NULL)
        super().close()

    def reconcile(self, held: bytes) -> None:
        """After a load: ends what no local APIC holds any more (`state.level_vectors()`)."""
        lib.ioapic_reconcile(self.pointer, held)

    def routes(self) -> list[tuple[int, int, bool]]:
        """(MSI address, MSI data, masked) of every pin."""
        table = ffi.new("struct ioapic_route[]", self.pointer.pins)
        count = lib.ioapic_routes(self.pointer, table, self.pointer.pins)
        return [(r.address, r.data, bool(r.masked)) for r in table[0:count]]

    def counters(self) -> dict[str, int]:
        """Interrupts that a local APIC took, by pin, and routing commits that KVM refused."""
        table = ffi.new("struct ioapic_route[]", self.pointer.pins)
        count = lib.ioapic_routes(self.pointer, table, self.pointer.pins)
        taken = {f"pin{n}": r.delivered for n, r in enumerate(table[0:count]) if r.delivered}
        return taken | {"route_failures": self.pointer.route_failures}
