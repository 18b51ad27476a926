"""A VM descriptor: memory slots, irqchips, clock, capabilities that must be enabled."""

from __future__ import annotations

from vmm.kvm.vcpu import KvmVcpu
from vmm.native import Fd, check, ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class Vm:
    """One method per ioctl. Addresses and sizes in bytes. Every method raises KvmError."""

    def __init__(self, fd: Fd, vcpu_mmap_size: int) -> None:
        self.fd = fd
        self.vcpu_mmap_size = vcpu_mmap_size
        self.core: Any = None  # the `struct vmcore *`, once there is one
        self._vfio: Fd | None = None

    def close(self) -> None:
        if self._vfio is not None:
            self._vfio.close()
        self.fd.close()

    def vfio(self) -> Fd:
        """KVM's pseudo device that learns which VFIO devices the guest has; -1 where it has none.

        Made when first asked for and kept: older kernels give a VM one, and no second.
        """
        if self._vfio is None:
            request = ffi.new("struct kvm_create_device *", {"type": lib.KVM_DEV_TYPE_VFIO})
            result = lib.sys_ioctl(self.fd.number, lib.KVM_CREATE_DEVICE, request)
            self._vfio = Fd(request.fd if result == 0 else -1)
        return self._vfio

    def change(self, name: str, argument: Any, about: str) -> None:
        """An ioctl for which KVM waits until every vCPU was out of the guest (kvmwait.h)."""
        if self.core is None:
            self.fd.ioctl(name, argument, about=about)
        else:
            check(lib.vmcore_ioctl(self.core, getattr(lib, name), argument), name, about)

    def check_extension(self, name: str) -> int:
        return self.fd.ioctl_value("KVM_CHECK_EXTENSION", getattr(lib, name))

    def enable_cap(self, name: str, *args: int) -> None:
        """KVM_ENABLE_CAP with up to four arguments."""
        cap = ffi.new("struct kvm_enable_cap *", {"cap": getattr(lib, name)})
        for index, value in enumerate(args):
            cap.args[index] = value
        self.fd.ioctl("KVM_ENABLE_CAP", cap, about=name)

    def create_vcpu(self, vcpu_id: int) -> KvmVcpu:
        number = self.fd.ioctl_value("KVM_CREATE_VCPU", vcpu_id, about=f"vCPU {vcpu_id}")
        return KvmVcpu(Fd(number), vcpu_id)

    def set_memory_region(self, slot: int, gpa: int, size: int, hva: int, flags: int = 0) -> None:
        """KVM_SET_USER_MEMORY_REGION; size 0 deletes the slot."""
        region = ffi.new(
            "struct kvm_userspace_memory_region *",
            {
                "slot": slot,
                "flags": flags,
                "guest_phys_addr": gpa,
                "memory_size": size,
                "userspace_addr": hva,
            },
        )
        self.change("KVM_SET_USER_MEMORY_REGION", region, f"slot {slot} at {gpa:#x}")

    def set_tss_addr(self, gpa: int) -> None:
        self.fd.ioctl_value("KVM_SET_TSS_ADDR", gpa)

    def set_identity_map_addr(self, gpa: int) -> None:
        self.fd.ioctl("KVM_SET_IDENTITY_MAP_ADDR", ffi.new("uint64_t *", gpa))

    def create_irqchip(self) -> None:
        """PIC pair, IO-APIC and local APICs in the kernel."""
        self.fd.ioctl_value("KVM_CREATE_IRQCHIP")

    def split_irqchip(self, pins: int) -> None:
        """Local APICs in the kernel, PIC and a `pins`-pin IO-APIC in user space."""
        self.enable_cap("KVM_CAP_SPLIT_IRQCHIP", pins)

    def create_pit2(self) -> None:
        """The in-kernel 8254, port 0x61 included."""
        config = ffi.new("struct kvm_pit_config *", {"flags": lib.KVM_PIT_SPEAKER_DUMMY})
        self.fd.ioctl("KVM_CREATE_PIT2", config)

    def get_pit2(self) -> Any:
        state = ffi.new("struct kvm_pit_state2 *")
        self.fd.ioctl("KVM_GET_PIT2", state)
        return state

    def set_pit2(self, state: Any) -> None:
        self.fd.ioctl("KVM_SET_PIT2", state)

    def get_irqchip(self, chip_id: int) -> Any:
        """KVM_GET_IRQCHIP: `lib.KVM_IRQCHIP_PIC_MASTER`, `_PIC_SLAVE` or `_IOAPIC`."""
        chip = ffi.new("struct kvm_irqchip *", {"chip_id": chip_id})
        self.fd.ioctl("KVM_GET_IRQCHIP", chip)
        return chip

    def set_irqchip(self, chip: Any) -> None:
        self.fd.ioctl("KVM_SET_IRQCHIP", chip)

    def irq_line(self, gsi: int, level: int) -> None:
        self.fd.ioctl(
            "KVM_IRQ_LINE", ffi.new("struct kvm_irq_level *", {"irq": gsi, "level": level})
        )

    def signal_msi(self, address: int, data: int) -> int:
        """KVM_SIGNAL_MSI: > 0 delivered, 0 blocked by the guest."""
        msi = ffi.new(
            "struct kvm_msi *",
            {"address_lo": address & 0xFFFFFFFF, "address_hi": address >> 32, "data": data},
        )
        return self.fd.ioctl("KVM_SIGNAL_MSI", msi)

    def exit_on_msr_writes(self, indices: Sequence[int]) -> None:
        """KVM_X86_SET_MSR_FILTER: the guest's writes of these MSRs alone go to user space.

        Needs KVM_CAP_X86_USER_SPACE_MSR with KVM_MSR_EXIT_REASON_FILTER.
        """
        refused = ffi.new("uint8_t *", 0)  # a bit for each MSR of a range: none passes
        table = ffi.new("struct kvm_msr_filter *", {"flags": lib.KVM_MSR_FILTER_DEFAULT_ALLOW})
        for slot, index in zip(table.ranges, indices, strict=False):
            slot.flags, slot.base, slot.nmsrs = lib.KVM_MSR_FILTER_WRITE, index, 1
            slot.bitmap = refused
        self.fd.ioctl("KVM_X86_SET_MSR_FILTER", table)

    def xen_hvm_config(self, flags: int, msr: int) -> None:
        """KVM_XEN_HVM_CONFIG: which hypercalls exit, and the MSR that fills the hypercall page."""
        config = ffi.new("struct kvm_xen_hvm_config *", {"flags": flags, "msr": msr})
        self.fd.ioctl("KVM_XEN_HVM_CONFIG", config, about=f"flags {flags:#x}")

    def xen_hvm_set_attr(self, attr: Any) -> None:
        self.fd.ioctl("KVM_XEN_HVM_SET_ATTR", attr, about=f"attribute {attr.type}")

    def xen_hvm_get_attr(self, attr: Any) -> None:
        """Fills `attr`, a `struct kvm_xen_hvm_attr *` whose type is set."""
        self.fd.ioctl("KVM_XEN_HVM_GET_ATTR", attr, about=f"attribute {attr.type}")

    def xen_hvm_evtchn_send(self, port: int, vcpu_id: int, priority: int) -> None:
        event = ffi.new(
            "struct kvm_irq_routing_xen_evtchn *",
            {"port": port, "vcpu": vcpu_id, "priority": priority},
        )
        self.fd.ioctl("KVM_XEN_HVM_EVTCHN_SEND", event, about=f"port {port}")

    def get_clock(self) -> Any:
        """kvmclock: nanoseconds of the VM's life, and with newer kernels realtime and TSC."""
        clock = ffi.new("struct kvm_clock_data *")
        self.fd.ioctl("KVM_GET_CLOCK", clock)
        return clock

    def set_clock(self, nanoseconds: int, realtime: int | None = None) -> None:
        """kvmclock to `nanoseconds`: now, or as of the host's CLOCK_REALTIME `realtime`."""
        clock = ffi.new("struct kvm_clock_data *", {"clock": nanoseconds})
        if realtime is not None:
            clock.realtime, clock.flags = realtime, lib.KVM_CLOCK_REALTIME
        self.fd.ioctl("KVM_SET_CLOCK", clock)

    def set_tsc_khz(self, khz: int) -> None:
        """The default for vCPUs created from here on (KVM_CAP_VM_TSC_CONTROL)."""
        self.fd.ioctl_value("KVM_SET_TSC_KHZ", khz)

    def get_stats_fd(self) -> Fd:
        return Fd(self.fd.ioctl_value("KVM_GET_STATS_FD"))
