"""Sizes and places that the kernel's documentation fixes, against what the compiler filled in."""

from __future__ import annotations

import pytest

from vmm.native import ffi, lib

# Documentation/virt/kvm/api.rst, and linux/kvm.h where it shows padding.
SIZES = {
    "kvm_regs": 144,
    "kvm_sregs": 312,
    "kvm_segment": 24,
    "kvm_dtable": 16,
    "kvm_cpuid2": 8,
    "kvm_cpuid_entry2": 40,
    "kvm_msr_list": 4,
    "kvm_msrs": 8,
    "kvm_msr_entry": 16,
    "kvm_lapic_state": 1024,
    "kvm_mp_state": 4,
    "kvm_vcpu_events": 64,
    "kvm_xcr": 16,
    "kvm_xcrs": 392,
    "kvm_xsave": 4096,
    "kvm_debugregs": 128,
    "kvm_userspace_memory_region": 32,
    "kvm_pit_config": 64,
    "kvm_pit_channel_state": 24,
    "kvm_pit_state2": 112,
    "kvm_pic_state": 16,
    "kvm_irqchip": 520,
    "kvm_irq_level": 8,
    "kvm_enable_cap": 104,
    "kvm_clock_data": 48,
    "kvm_irqfd": 32,
    "kvm_ioeventfd": 64,
    "kvm_msi": 32,
    "kvm_coalesced_mmio_zone": 16,
    "kvm_create_device": 12,
    "kvm_device_attr": 24,
    "kvm_translation": 24,
    "kvm_stats_header": 24,
    "kvm_stats_desc": 16,
    "kvm_xen_hvm_config": 56,
    "kvm_xen_hvm_attr": 72,
    "kvm_xen_vcpu_attr": 72,
    "kvm_irq_routing_xen_evtchn": 12,
    "vfio_device_bind_iommufd": 16,
    "vfio_device_attach_iommufd_pt": 12,
    "vfio_device_detach_iommufd_pt": 8,
    "vfio_region_info": 32,
    "vfio_irq_set": 20,
    "vfio_pci_dependent_device": 8,
    "iommu_ioas_map": 40,
    "iommu_ioas_unmap": 24,
    "iommu_option": 24,
    "vhost_vring_addr": 40,
    "vhost_memory": 8,
    "vhost_memory_region": 32,
    "vhost_msg_v2": 72,
}  # fmt: skip

OFFSETS = [
    ("kvm_run", "request_interrupt_window", 0),
    ("kvm_run", "immediate_exit", 1),
    ("kvm_run", "exit_reason", 8),
    ("kvm_run", "ready_for_interrupt_injection", 12),
    ("kvm_run", "if_flag", 13),
    ("kvm_run", "flags", 14),
    ("kvm_run", "cr8", 16),
    ("kvm_run", "apic_base", 24),
    ("kvm_regs", "rip", 128),
    ("kvm_regs", "rflags", 136),
    ("kvm_sregs", "gdt", 192),
    ("kvm_sregs", "cr0", 224),
    ("kvm_sregs", "efer", 264),
    ("kvm_sregs", "interrupt_bitmap", 280),
    ("kvm_cpuid_entry2", "eax", 12),
    ("kvm_vcpu_events", "sipi_vector", 16),
    ("kvm_vcpu_events", "exception_payload", 56),
    ("kvm_pit_state2", "flags", 72),
    ("kvm_clock_data", "realtime", 16),
    ("kvm_clock_data", "host_tsc", 24),
    ("kvm_userspace_memory_region", "userspace_addr", 24),
    ("kvm_xen_hvm_attr", "u", 8),
    ("kvm_xen_vcpu_attr", "u", 8),
    ("vfio_irq_set", "data", 20),
    ("vfio_region_info", "offset", 24),
    ("iommu_ioas_map", "iova", 32),
]


@pytest.mark.parametrize("name", SIZES)
def test_structure_has_its_documented_size(name: str) -> None:
    assert ffi.sizeof(f"struct {name}") == SIZES[name]


@pytest.mark.parametrize(("struct", "field", "offset"), OFFSETS)
def test_field_is_at_its_documented_place(struct: str, field: str, offset: int) -> None:
    assert ffi.offsetof(f"struct {struct}", field) == offset


def test_exit_reasons_have_their_documented_numbers() -> None:
    names = (
        "UNKNOWN EXCEPTION IO HYPERCALL DEBUG HLT MMIO IRQ_WINDOW_OPEN SHUTDOWN FAIL_ENTRY INTR"
        " SET_TPR TPR_ACCESS"
    )

    values = [getattr(lib, f"KVM_EXIT_{name}") for name in names.split()]

    assert values == list(range(len(values)))
