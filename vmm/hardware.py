"""The parts of one machine: KVM objects, memory, buses, devices, vCPUs; built, reset, closed.

Built in the order of dependence, closed in reverse. Nothing here runs: threads and the question of
how it all ends belong to `machine.py`.
"""

from __future__ import annotations

from vmm import layout
from vmm.bus import MMIO_LIMIT, PIO_LIMIT, Bus
from vmm.closing import close_all
from vmm.coalesce import Coalesce
from vmm.context import DeviceContext
from vmm.errors import HostError, StateError
from vmm.guestcpuid import GuestCpuid
from vmm.irq import IrqRouter
from vmm.kvm import caps, clock, irqchip_state, plain, state, topology
from vmm.kvm.regs import enter
from vmm.kvm.system import System
from vmm.loop import IoLoops
from vmm.memory import GuestMemory
from vmm.native import PyDevice, check, ffi, lib, made
from vmm.vcpu import Vcpu

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vmm.boot import BootResult
    from vmm.cdevice import Device
    from vmm.config import VmConfig
    from vmm.pci.function import PciFunction
    from vmm.xen.domain import XenDomain

STATE_VERSION = 1
CLOCK_MAX = (1 << 63) - 1  # ns
MCE_BANKS = 1  # each costs a stock kernel six MSR accesses at boot; 0 is refused


class Hardware:
    """Everything between the configuration and the first KVM_RUN."""

    def __init__(self, config: VmConfig) -> None:
        self.config = config
        # What devices tell the control socket's listeners, on whatever thread.
        self.on_notify: Callable[[str, dict[str, object]], None] = lambda _name, _fields: None
        self.on_wish: Callable[[str, str], None] = lambda _what, _device: None
        self._closers: list[Callable[[], None]] = []
        try:
            self._build()
        except BaseException as error:
            self.close(error)

    def _build(self) -> None:
        config = self.config
        self.system = self._own(System())
        self.caps = caps.probe(self.system.fd)
        for cap in caps.missing(self.caps):
            raise HostError(
                f"KVM here lacks {cap.name}, needed for {cap.purpose}; see `vmm doctor`"
            )
        self.vm = self._own(self.system.create_vm())
        self.memory = self._own(GuestMemory(config.mem, config.mem_backing, config.mem_prealloc))
        self.memory.attach(self.vm)
        self._kvm_pit = bool(self.caps["KVM_CAP_PIT2"]) and not config.own_pit
        self._make_irqchip()
        self.pio, self.mmio = Bus("port", PIO_LIMIT), Bus("address", MMIO_LIMIT)
        vm_fd = self.vm.fd.number
        core = lib.vmcore_create(vm_fd, self.pio.pointer, self.mmio.pointer)
        buses = (self.pio.pointer, self.mmio.pointer)
        self.core = made(core, lib.vmcore_destroy, "the vCPUs' shared part", *buses)
        self.vm.core = self.core
        # Before the buses, whatever refers to it.
        self._closers.append(self._close_core)
        self.hub = made(lib.irq_hub_create(), lib.irq_hub_destroy, "the interrupt lines")
        self.clock = made(lib.vclock_create(False), lib.vclock_destroy, "the clock")
        self.loops = self._own(IoLoops(config.io_threads))
        self.loop = self.loops.first
        if config.irqchip == "kernel":
            lib.irq_hub_use_kernel(self.hub, vm_fd)
        if config.xen:
            lib.vmcore_polls(self.core)
        zones = bool(self.caps["KVM_CAP_COALESCED_PIO"])
        self.coalesce = self._own(Coalesce(self.core, self.clock, self.loop, zones))
        self.router = IrqRouter(
            self.vm,
            split=config.irqchip == "split",
            pins=config.ioapic_pins,
            legacy=config.machine == "legacy",
        )
        self.devices: list[Device] = []
        self.python_devices: list[PyDevice] = []
        self._closers.append(self._close_devices)
        self._make_devices()
        self.vcpus: list[Vcpu] = []
        self._closers.append(self._close_vcpus)
        self._make_vcpus()

    def _own(self, part: Any) -> Any:
        self._closers.append(part.close)
        return part

    def _make_irqchip(self) -> None:
        """The irqchip must exist before any vCPU; the in-kernel PIT wants the in-kernel PIC."""
        config = self.config
        self.vm.set_tss_addr(layout.KVM_TSS)
        if self.caps["KVM_CAP_SET_IDENTITY_MAP_ADDR"]:
            self.vm.set_identity_map_addr(layout.KVM_IDENTITY_MAP)
        if config.irqchip == "kernel":
            self.vm.create_irqchip()
            if self._kvm_pit:
                self.vm.create_pit2()
            return
        if not self.caps["KVM_CAP_SPLIT_IRQCHIP"]:
            raise HostError("KVM here lacks KVM_CAP_SPLIT_IRQCHIP; use --irqchip kernel")
        self.vm.split_irqchip(config.ioapic_pins)

    def _make_devices(self) -> None:
        from vmm.devices.platform import build_platform

        self.context = DeviceContext(
            config=self.config,
            pio=self.pio,
            mmio=self.mmio,
            irq=self.hub,
            clock=self.clock,
            loop=self.loop,
            loops=self.loops,
            core=self.core,
            memory=self.memory,
            router=self.router,
            coalesce=self.coalesce,
            apic_ids=topology.apic_ids(self.config.cpu, self.config.cpus),
            vm_fd=self.vm.fd.number,
            kvm_vfio=self.vm.vfio,
            upcalls=self.python_devices,
            notify=self._notify,
            wish=self._wish,
        )
        self.xen = self._make_xen() if self.config.xen else None
        if self.xen is not None:
            self.devices.append(self.xen)  # closed with the rest, whatever comes after it
        self.devices += build_platform(self.context)
        if self.xen is not None:
            self.xen.claim(self.pio, self.mmio)

    def _make_xen(self) -> XenDomain:
        from vmm.xen.make import make_domain

        meant = 0
        if self.config.disks or self.config.nets:
            from vmm import twins

            meant = twins.meant(self.config)
        domain = make_domain(self.context, self.vm, self.caps["KVM_CAP_XEN_HVM"])
        domain.platform.meant = meant
        return domain

    def _notify(self, name: str, fields: dict[str, object]) -> None:
        self.on_notify(name, fields)

    def _wish(self, what: str, device: str) -> None:
        self.on_wish(what, device)

    def _make_vcpus(self) -> None:
        config = self.config
        run_size = self.vm.vcpu_mmap_size
        ring_page = self.caps["KVM_CAP_COALESCED_MMIO"]
        check(lib.vcpu_kick_signal_init(), "sigaction")
        shown: GuestCpuid | None = None
        for number, apic_id in enumerate(self.context.apic_ids):
            kvm = self.vm.create_vcpu(apic_id)
            self.vcpus.append(Vcpu(kvm, self.core, run_size, ring_page))
            if self.caps["KVM_CAP_MCE"]:
                kvm.setup_mce(MCE_BANKS)
            if config.tsc_khz is not None:
                clock.set_tsc_khz(kvm, config.tsc_khz, self.caps)
            if shown is None:
                khz = clock.tsc_khz(kvm)
                shown = GuestCpuid(self.system, config, self.caps, khz, self.xen)
            if self.xen is not None:
                self.xen.add_vcpu(kvm, self.vcpus[-1].pointer)
            shown.show(kvm, number)

    def enter(self, boot: BootResult) -> None:
        """The boot vCPU's first registers; the others wait for INIT and SIPI."""
        if self.xen is not None:
            from vmm.boot.e820 import memory_map

            kernel = [(p.base, p.length) for p in boot.pieces if p.name.startswith("kernel")]
            self.xen.loaded(kernel, lambda: memory_map(self.memory.ranges(), boot.reserved))
        enter(self.vcpus[0].kvm, boot.entry)

    def remember_reset_state(self) -> None:
        """Keeps each vCPU's and in-kernel chip's present state as the one reset() returns to."""
        indices = self.system.msr_indices(hyperv=self.config.hyperv)
        self._reset_vcpus = [state.save(v.kvm, indices, self.caps) for v in self.vcpus]
        self._reset_chips = irqchip_state.save(self.vm, self.config.irqchip, self._kvm_pit)

    def pause_devices(self) -> None:
        """No device uses guest memory until `resume_devices()`. All vCPUs must be parked."""
        for device in self.devices:
            device.pause()

    def resume_devices(self) -> None:
        for device in self.devices:
            device.resume()

    def halt_devices(self) -> None:
        """What devices began on the host is done or given up. All vCPUs have ended.

        Each is tried; VmmError, or a group of them, for those that are stuck.
        """
        for device in self.devices:
            device.ask_halt()
        close_all(device.halt for device in self.devices)

    def reset(self) -> None:
        """Everything but the contents of RAM as after building. All vCPUs must be parked."""
        lib.vmcore_drain(self.core)
        lib.vmcore_asked(self.core, ffi.new("struct vcpu_event *"))  # a wish of the life that ends
        for device in self.devices:
            device.ask_halt()
        for device in self.devices:
            device.reset()
        irqchip_state.load(self.vm, self._reset_chips)
        for vcpu, saved in zip(self.vcpus, self._reset_vcpus, strict=True):
            state.reset(vcpu.kvm, saved)

    def save(self) -> dict[str, Any]:
        """The state of everything but RAM, as plain data. All vCPUs must be parked."""
        indices = self.system.msr_indices(hyperv=self.config.hyperv)
        return {
            "version": STATE_VERSION,
            "clock": int(lib.vclock_ns(self.clock)),
            "kvmclock": int(self.vm.get_clock().clock),
            "devices": {device.name: device.save() for device in self.devices},
            "irqchip": irqchip_state.save(self.vm, self.config.irqchip, self._kvm_pit),
            "vcpus": [state.save(vcpu.kvm, indices, self.caps) for vcpu in self.vcpus],
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Takes back what save() gave, on a machine built alike. StateError if it does not fit."""
        names = {device.name for device in self.devices}
        if saved.get("version") != STATE_VERSION:
            raise StateError(f"This saved machine has version {saved.get('version')!r}, not 1")
        if names != set(saved["devices"]) or len(saved["vcpus"]) != len(self.vcpus):
            raise StateError("This saved machine has other devices or another number of vCPUs")
        lib.vclock_set(self.clock, plain.number(saved["clock"], CLOCK_MAX, "clock"))
        for device in self.devices:
            device.load(saved["devices"][device.name])
        irqchip_state.load(self.vm, saved["irqchip"])
        for vcpu, own in zip(self.vcpus, saved["vcpus"], strict=True):
            state.load(vcpu.kvm, own)
        self.vm.set_clock(saved["kvmclock"])
        ioapic: Any = self.device("ioapic")
        held = state.level_vectors(saved["vcpus"])
        if ioapic is not None and held is not None:
            ioapic.reconcile(held)

    def add_device(self, device: Device) -> None:
        """One more, behind those of its kind: the irqchip's order of saving stays the last."""
        before = [d for d in self.devices if d.name in ("pic", "ioapic")]
        self.devices = [*(d for d in self.devices if d not in before), device, *before]

    def remove_device(self, device: Device) -> None:
        """Ends it; nobody finds it any more. Not from inside an access."""
        self.devices = [d for d in self.devices if d is not device]
        device.close()

    def pci_functions(self) -> list[PciFunction]:
        """What is on the PCI bus, in the order of its addresses."""
        root: Any = self.device("pci")
        if root is None:
            return []
        return [function for _devfn, function in sorted(root.functions.items())]

    def device(self, name: str) -> Device | None:
        """The device of that name, if this machine has it."""
        return next((device for device in self.devices if device.name == name), None)

    def _close_vcpus(self) -> None:
        close_all(vcpu.close for vcpu in reversed(self.vcpus))

    def _close_core(self) -> None:
        self.vm.core = None
        ffi.release(self.core)

    def _close_devices(self) -> None:
        close_all(device.close for device in reversed(self.devices))

    def close(self, cause: BaseException | None = None) -> None:
        """Closes every part, also when one fails. Raises `cause`, if given, and the failures."""
        closers, self._closers = self._closers, []
        close_all(reversed(closers), cause)
