"""The root bus: plugs functions in and out, and keeps the buses in step with their registers.

A guest's write to configuration space that changes where a function decodes ends in `reconcile()`,
on that vCPU's thread, inside the access and with no lock held. It reads what the registers want now
and claims, moves or releases ranges accordingly; another vCPU may have changed them once more, and
then comes here too. A register that points outside the bridge's windows or onto another device is
left unmapped, keeps what the guest wrote, and is tried again when a place becomes free.
"""

from __future__ import annotations

from vmm import layout, log
from vmm.cdevice import CDevice
from vmm.errors import VmmError
from vmm.native import PyDevice, check, ffi, lib
from vmm.pci.windows import Windows
from vmm.threads import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.bus import Bus
    from vmm.context import DeviceContext
    from vmm.pci.bar import Mapping
    from vmm.pci.function import PciFunction

SLOTS = 32
FUNCTIONS = 8  # per slot
INTERRUPT_LINE, INTERRUPT_PIN = 0x3C, 0x3D


class _Changes:
    """What C tells: the function at `offset` decodes elsewhere now."""

    def __init__(self, root: PciRoot) -> None:
        self.root = root

    def read(self, region: int, offset: int, size: int) -> int:
        return 0

    def write(self, region: int, offset: int, size: int, value: int) -> None:
        function = self.root.functions.get(offset)
        if function is not None:
            self.root.reconcile(function)


class PciRoot(CDevice):
    """Bus 0. `reset_port` answers to bytes at 0xcf9, inside the address register.

    `functions` are by devfn; the dictionary is replaced, never changed.
    """

    kind = "pci_root"

    def __init__(self, context: DeviceContext, reset_port: CDevice) -> None:
        self.context = context
        self.windows = Windows(context.config.mem)
        self.functions: dict[int, PciFunction] = {}
        self.blocked = 0  # times that a register could not be mapped
        # The topology lock: guards all above and every Mapping. Taken inside accesses, so never
        # held over a wait for one (Bus.quiesce).
        self._lock = Lock()
        self.changes = PyDevice(_Changes(self))
        context.upcalls.append(self.changes)
        reset = ffi.addressof(reset_port.pointer, "dev")
        zones = context.coalesce.pointer
        pointer = lib.pci_root_create(reset, lib.RESETPORT_CF9, self.changes.dev, zones)
        super().__init__(
            "pci",
            pointer,
            [
                ("mmio", layout.PCI_ECAM, layout.PCI_ECAM_SIZE, lib.PCI_ECAM),
                ("pio", layout.PORT_PCI_ADDRESS, layout.PCI_PORTS_SIZE, lib.PCI_PORTS),
            ],
        )

    # --- coming and going

    def free_slot(self, keep: set[int]) -> int:
        """The lowest slot with nothing in it that is not in `keep`. VmmError if there is none."""
        used = keep | {devfn // FUNCTIONS for devfn in self.functions}
        for slot in range(SLOTS):
            if slot not in used:
                return slot
        raise VmmError(f"All {SLOTS} slots of the PCI bus are taken")

    def plug(self, function: PciFunction, devfn: int) -> None:
        """The function appears at slot << 3 | function, its registers at addresses that are free.

        VmmError if the place is taken or there is no room for a register.
        """
        with self._lock:
            self._assign(function)
            try:
                self._connect(function, devfn)
                result = lib.pci_plug(self.pointer, function.pointer, devfn)
                check(result, "pci_plug", f"{function.name} at slot {devfn >> 3}.{devfn & 7}")
            except BaseException:
                self._give_back(function)
                raise
            function.root = self
            self.functions = {**self.functions, devfn: function}
        self.reconcile(function)

    def _assign(self, function: PciFunction) -> None:
        """Gives each register an address, as firmware does."""
        avoid = [
            (place, mapping.bar.size)
            for mapping in self._mappings()
            for place in (mapping.base, mapping.wanted)
            if place is not None
        ]
        try:
            for number, mapping in function.mappings.items():
                bar = mapping.bar
                mapping.given = self.windows.take(bar.kind, bar.size, avoid, mapping.owner)
                lib.pci_set_bar(function.pointer, number, mapping.given)
        except BaseException:
            self._give_back(function)
            raise

    def _give_back(self, function: PciFunction) -> None:
        for mapping in function.mappings.values():
            if mapping.given is not None:
                self.windows.give_back(mapping.given)
                mapping.given = None

    def _connect(self, function: PciFunction, devfn: int) -> None:
        """The interrupt pin to its wire, and the wire's number for drivers that ask no ACPI."""
        pin = function.get(INTERRUPT_PIN, 1)
        if not pin:
            return
        wire = layout.pci_pin(devfn // FUNCTIONS, pin)
        legacy = self.context.config.machine == "legacy"
        gsi, pic = layout.GSI_PCI_INTX[wire], layout.PIC_PCI_INTX[wire]
        nowhere = int(lib.IRQ_HUB_GSIS)
        function.set(INTERRUPT_LINE, 1, pic if legacy else gsi)
        lib.pci_intx_connect(function.pointer, self.context.irq, gsi, pic if legacy else nowhere)

    def unplug(self, function: PciFunction) -> None:
        """The function is gone, and no access is under way to anything behind it.

        Not from inside an access.
        """
        with self._lock:
            lib.pci_unplug(function.pointer)
            function.root = None
            gone = function.devfn
            self.functions = {n: f for n, f in self.functions.items() if n != gone}
            for mapping in function.mappings.values():
                mapping.wanted = None
                mapping.remove(self._bus(mapping), self.context.core)
            self._give_back(function)
            self._retry()
        self.context.pio.quiesce()
        self.context.mmio.quiesce()

    # --- keeping in step

    def reconcile(self, function: PciFunction) -> None:
        """Makes the buses follow the function's registers. Any thread, also inside an access."""
        with self._lock:
            if function.root is not self:
                return
            freed = False
            wanted = function.wanted()
            for number, mapping in function.mappings.items():
                mapping.wanted = wanted[number]
                freed |= mapping.base not in (None, mapping.wanted)
                self._follow(mapping)
            if freed:
                self._retry()

    def _retry(self) -> None:
        """Those that found their place taken try again."""
        for mapping in self._mappings():
            if mapping.wanted is not None and mapping.base is None:
                self._follow(mapping)

    def _follow(self, mapping: Mapping) -> None:
        at, bus, core = mapping.wanted, self._bus(mapping), self.context.core
        if at == mapping.base:
            return
        if at is None:
            mapping.remove(bus, core)
            return
        try:
            self._check(mapping, at)
            mapping.place(bus, core, at)
        except VmmError as error:
            mapping.remove(bus, core)
            if mapping.refused != at:
                self.blocked += 1
                log.limited("pci.bar_not_mapped", reason=str(error))
            mapping.refused = at
        else:
            mapping.refused = None

    def _check(self, mapping: Mapping, at: int) -> None:
        """VmmError if the bridge would not pass accesses on, or not to this register alone."""
        size = mapping.bar.size
        if not self.windows.reach(mapping.bar.kind, at, size):
            raise VmmError(f"{mapping.owner} at {at:#x} lies outside the PCI windows")
        for other in self._mappings():
            if other is not mapping and other.bar.space == mapping.bar.space:
                if other.overlaps(at, size):
                    raise VmmError(f"{mapping.owner} at {at:#x} lies over {other.owner}")

    def _mappings(self) -> list[Mapping]:
        return [m for function in self.functions.values() for m in function.mappings.values()]

    def _bus(self, mapping: Mapping) -> Bus:
        return self.context.pio if mapping.bar.space == "pio" else self.context.mmio

    def close(self) -> None:
        for function in self.functions.values():
            self.unplug(function)
        if self.changes in self.context.upcalls:
            self.context.upcalls.remove(self.changes)
        super().close()

    def counters(self) -> dict[str, int]:
        counts = ffi.new("struct pci_counts *")
        lib.pci_root_counts(self.pointer, counts)
        return {**{name: getattr(counts, name) for name in dir(counts)}, "blocked": self.blocked}
