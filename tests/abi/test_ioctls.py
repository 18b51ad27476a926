"""Every ioctl number of the cdef, computed from what it is made of: direction, type, number, size.

asm-generic/ioctl.h: number in bits 7:0, type in 15:8, size of the argument in 29:16, direction in
31:30. A structure whose size here differs from the kernel's would make another number.
"""

from __future__ import annotations

import pytest

from vmm.native import ffi, lib

NR_BITS, TYPE_BITS, SIZE_BITS = 8, 8, 14
DIRECTIONS = {"none": 0, "w": 1, "r": 2, "wr": 3}  # as the kernel's _IO, _IOW, _IOR, _IOWR say
TYPES = {"KVM": 0xAE, "VFIO": ord(";"), "IOMMU": ord(";"), "VHOST": 0xAF}
VFIO_BASE = 100

# Name, number, direction, argument: a C type, or bytes for types that the cdef does not have.
TABLE = """
KVM_GET_API_VERSION 0x00 none
KVM_CREATE_VM 0x01 none
KVM_GET_MSR_INDEX_LIST 0x02 wr struct kvm_msr_list
KVM_CHECK_EXTENSION 0x03 none
KVM_GET_VCPU_MMAP_SIZE 0x04 none
KVM_GET_SUPPORTED_CPUID 0x05 wr struct kvm_cpuid2
KVM_GET_SUPPORTED_HV_CPUID 0xc1 wr struct kvm_cpuid2
KVM_X86_GET_MCE_CAP_SUPPORTED 0x9d r uint64_t
KVM_CREATE_VCPU 0x41 none
KVM_GET_DIRTY_LOG 0x42 w 16
KVM_SET_USER_MEMORY_REGION 0x46 w struct kvm_userspace_memory_region
KVM_SET_TSS_ADDR 0x47 none
KVM_SET_IDENTITY_MAP_ADDR 0x48 w uint64_t
KVM_CREATE_IRQCHIP 0x60 none
KVM_IRQ_LINE 0x61 w struct kvm_irq_level
KVM_GET_IRQCHIP 0x62 wr struct kvm_irqchip
KVM_SET_IRQCHIP 0x63 r struct kvm_irqchip
KVM_REGISTER_COALESCED_MMIO 0x67 w struct kvm_coalesced_mmio_zone
KVM_UNREGISTER_COALESCED_MMIO 0x68 w struct kvm_coalesced_mmio_zone
KVM_SET_GSI_ROUTING 0x6a w 8
KVM_IRQFD 0x76 w struct kvm_irqfd
KVM_CREATE_PIT2 0x77 w struct kvm_pit_config
KVM_SET_BOOT_CPU_ID 0x78 none
KVM_IOEVENTFD 0x79 w struct kvm_ioeventfd
KVM_SET_CLOCK 0x7b w struct kvm_clock_data
KVM_GET_CLOCK 0x7c r struct kvm_clock_data
KVM_GET_PIT2 0x9f r struct kvm_pit_state2
KVM_SET_PIT2 0xa0 w struct kvm_pit_state2
KVM_SET_TSC_KHZ 0xa2 none
KVM_GET_TSC_KHZ 0xa3 none
KVM_ENABLE_CAP 0xa3 w struct kvm_enable_cap
KVM_SIGNAL_MSI 0xa5 w struct kvm_msi
KVM_X86_SET_MSR_FILTER 0xc6 w 392
KVM_GET_STATS_FD 0xce none
KVM_CREATE_DEVICE 0xe0 wr struct kvm_create_device
KVM_SET_DEVICE_ATTR 0xe1 w struct kvm_device_attr
KVM_GET_DEVICE_ATTR 0xe2 w struct kvm_device_attr
KVM_HAS_DEVICE_ATTR 0xe3 w struct kvm_device_attr
KVM_RUN 0x80 none
KVM_GET_REGS 0x81 r struct kvm_regs
KVM_SET_REGS 0x82 w struct kvm_regs
KVM_GET_SREGS 0x83 r struct kvm_sregs
KVM_SET_SREGS 0x84 w struct kvm_sregs
KVM_TRANSLATE 0x85 wr struct kvm_translation
KVM_INTERRUPT 0x86 w uint32_t
KVM_GET_MSRS 0x88 wr struct kvm_msrs
KVM_SET_MSRS 0x89 w struct kvm_msrs
KVM_GET_LAPIC 0x8e r struct kvm_lapic_state
KVM_SET_LAPIC 0x8f w struct kvm_lapic_state
KVM_SET_CPUID2 0x90 w struct kvm_cpuid2
KVM_GET_CPUID2 0x91 wr struct kvm_cpuid2
KVM_GET_MP_STATE 0x98 r struct kvm_mp_state
KVM_SET_MP_STATE 0x99 w struct kvm_mp_state
KVM_NMI 0x9a none
KVM_X86_SETUP_MCE 0x9c w uint64_t
KVM_GET_VCPU_EVENTS 0x9f r struct kvm_vcpu_events
KVM_SET_VCPU_EVENTS 0xa0 w struct kvm_vcpu_events
KVM_GET_DEBUGREGS 0xa1 r struct kvm_debugregs
KVM_SET_DEBUGREGS 0xa2 w struct kvm_debugregs
KVM_GET_XSAVE 0xa4 r 4096
KVM_SET_XSAVE 0xa5 w 4096
KVM_GET_XCRS 0xa6 r struct kvm_xcrs
KVM_SET_XCRS 0xa7 w struct kvm_xcrs
KVM_KVMCLOCK_CTRL 0xad none
KVM_GET_XSAVE2 0xcf r 4096
KVM_XEN_HVM_CONFIG 0x7a w struct kvm_xen_hvm_config
KVM_XEN_HVM_GET_ATTR 0xc8 wr struct kvm_xen_hvm_attr
KVM_XEN_HVM_SET_ATTR 0xc9 w struct kvm_xen_hvm_attr
KVM_XEN_VCPU_GET_ATTR 0xca wr struct kvm_xen_vcpu_attr
KVM_XEN_VCPU_SET_ATTR 0xcb w struct kvm_xen_vcpu_attr
KVM_XEN_HVM_EVTCHN_SEND 0xd0 w struct kvm_irq_routing_xen_evtchn
VFIO_GET_API_VERSION 0 none
VFIO_CHECK_EXTENSION 1 none
VFIO_SET_IOMMU 2 none
VFIO_GROUP_GET_STATUS 3 none
VFIO_GROUP_SET_CONTAINER 4 none
VFIO_GROUP_UNSET_CONTAINER 5 none
VFIO_GROUP_GET_DEVICE_FD 6 none
VFIO_DEVICE_GET_INFO 7 none
VFIO_DEVICE_GET_REGION_INFO 8 none
VFIO_DEVICE_GET_IRQ_INFO 9 none
VFIO_DEVICE_SET_IRQS 10 none
VFIO_DEVICE_RESET 11 none
VFIO_DEVICE_GET_PCI_HOT_RESET_INFO 12 none
VFIO_DEVICE_PCI_HOT_RESET 13 none
VFIO_DEVICE_QUERY_GFX_PLANE 14 none
VFIO_DEVICE_GET_GFX_DMABUF 15 none
VFIO_DEVICE_IOEVENTFD 16 none
VFIO_DEVICE_FEATURE 17 none
VFIO_DEVICE_BIND_IOMMUFD 18 none
VFIO_DEVICE_ATTACH_IOMMUFD_PT 19 none
VFIO_DEVICE_DETACH_IOMMUFD_PT 20 none
VFIO_MIG_GET_PRECOPY_INFO 21 none
VFIO_IOMMU_GET_INFO 12 none
VFIO_IOMMU_MAP_DMA 13 none
VFIO_IOMMU_UNMAP_DMA 14 none
VFIO_IOMMU_DIRTY_PAGES 17 none
IOMMU_DESTROY 0x80 none
IOMMU_IOAS_ALLOC 0x81 none
IOMMU_IOAS_ALLOW_IOVAS 0x82 none
IOMMU_IOAS_COPY 0x83 none
IOMMU_IOAS_IOVA_RANGES 0x84 none
IOMMU_IOAS_MAP 0x85 none
IOMMU_IOAS_UNMAP 0x86 none
IOMMU_OPTION 0x87 none
IOMMU_VFIO_IOAS 0x88 none
IOMMU_HWPT_ALLOC 0x89 none
IOMMU_GET_HW_INFO 0x8a none
IOMMU_HWPT_SET_DIRTY_TRACKING 0x8b none
IOMMU_HWPT_GET_DIRTY_BITMAP 0x8c none
VHOST_GET_FEATURES 0x00 r uint64_t
VHOST_SET_FEATURES 0x00 w uint64_t
VHOST_SET_OWNER 0x01 none
VHOST_RESET_OWNER 0x02 none
VHOST_SET_MEM_TABLE 0x03 w struct vhost_memory
VHOST_SET_LOG_BASE 0x04 w uint64_t
VHOST_SET_LOG_FD 0x07 w int
VHOST_NEW_WORKER 0x08 r struct vhost_worker_state
VHOST_FREE_WORKER 0x09 w struct vhost_worker_state
VHOST_SET_VRING_NUM 0x10 w struct vhost_vring_state
VHOST_SET_VRING_ADDR 0x11 w struct vhost_vring_addr
VHOST_SET_VRING_BASE 0x12 w struct vhost_vring_state
VHOST_GET_VRING_BASE 0x12 wr struct vhost_vring_state
VHOST_ATTACH_VRING_WORKER 0x15 w struct vhost_vring_worker
VHOST_SET_VRING_KICK 0x20 w struct vhost_vring_file
VHOST_SET_VRING_CALL 0x21 w struct vhost_vring_file
VHOST_SET_VRING_ERR 0x22 w struct vhost_vring_file
VHOST_SET_VRING_BUSYLOOP_TIMEOUT 0x23 w struct vhost_vring_state
VHOST_SET_BACKEND_FEATURES 0x25 w uint64_t
VHOST_GET_BACKEND_FEATURES 0x26 r uint64_t
VHOST_NET_SET_BACKEND 0x30 w struct vhost_vring_file
VHOST_VSOCK_SET_GUEST_CID 0x60 w uint64_t
VHOST_VSOCK_SET_RUNNING 0x61 w int
"""
ROWS = {line.split()[0]: line.split(maxsplit=3)[1:] for line in TABLE.split("\n") if line}


def number(name: str, nr: str, direction: str, argument: str = "0") -> int:
    """The ioctl's number from its parts."""
    family = name.partition("_")[0]
    size = int(argument) if argument.isdigit() else ffi.sizeof(argument)
    base = VFIO_BASE if family == "VFIO" else 0
    value = DIRECTIONS[direction] << SIZE_BITS | size
    return (value << TYPE_BITS | TYPES[family]) << NR_BITS | base + int(nr, 0)


def is_ioctl(value: object) -> bool:
    return isinstance(value, int) and value > 0 and value >> NR_BITS & 0xFF in TYPES.values()


@pytest.mark.parametrize("name", ROWS)
def test_number_is_what_its_parts_make(name: str) -> None:
    assert getattr(lib, name) == number(name, *ROWS[name])


def test_table_has_every_ioctl_of_the_cdef() -> None:
    assert {name for name in dir(lib) if is_ioctl(getattr(lib, name))} == set(ROWS)
