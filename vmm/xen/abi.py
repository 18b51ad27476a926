"""Numbers and layouts of Xen's public interface (xen/include/public/*.h), by their names there."""

from __future__ import annotations

PAGE = 4096

# --- error numbers (errno.h): Linux's
EPERM, ENOENT, ESRCH, ENXIO, ENOMEM, EACCES, EFAULT, EEXIST, EINVAL, ENOSPC, ENOSYS, ENODATA = (
    1, 2, 3, 6, 12, 13, 14, 17, 22, 28, 38, 61,
)  # fmt: skip
ETIME, EOPNOTSUPP = 62, 95

# --- domains (xen.h)
DOMID_BACKEND, DOMID_GUEST = 0, 1  # who serves, and who we are
DOMID_SELF = 0x7FF0

# --- hypercalls (xen.h)
MEMORY_OP, MULTICALL, SET_TIMER_OP, XEN_VERSION, CONSOLE_IO = 12, 13, 15, 17, 18
GRANT_TABLE_OP, VM_ASSIST, VCPU_OP, SCHED_OP, EVENT_CHANNEL_OP = 20, 21, 24, 29, 32
PHYSDEV_OP = 33
HVM_OP, SYSCTL, DOMCTL, KEXEC_OP, XENPMU_OP, DM_OP, HYPFS_OP = 34, 35, 36, 37, 40, 41, 42
PLATFORM_OP = 7

# --- CPUID (arch-x86/cpuid.h)
CPUID_BASE = 0x40000000
CPUID_SIGNATURE = b"XenVMMXenVMM"
HYPERCALL_MSR, HYPERCALL_MSR_VIRIDIAN = 0x40000000, 0x40000200  # the latter beside Hyper-V
TSC_MODE_NEVER_EMULATE = 2
HVM_CPUID_APIC_ACCESS_VIRT, HVM_CPUID_X2APIC_VIRT = 1 << 0, 1 << 1
HVM_CPUID_VCPU_ID_PRESENT, HVM_CPUID_DOMID_PRESENT = 1 << 3, 1 << 4
HVM_CPUID_UPCALL_VECTOR = 1 << 6

# --- features (features.h)
FEATURES = (
    1 << 0  # XENFEAT_writable_page_tables
    | 1 << 1  # XENFEAT_writable_descriptor_tables
    | 1 << 2  # XENFEAT_auto_translated_physmap
    | 1 << 8  # XENFEAT_hvm_callback_vector
    | 1 << 9  # XENFEAT_hvm_safe_pvclock
)

XENFEAT_hvm_pirqs = 1 << 10
XENFEAT_runstate_phys_area, XENFEAT_vcpu_time_phys_area = 1 << 18, 1 << 19

# --- shared_info and vcpu_info (xen.h)
VCPU_INFO_SIZE = 64
LEGACY_MAX_VCPUS = 32  # that have a vcpu_info in shared_info
RUNSTATE_SIZE, RUNSTATE_SIZE32 = 0x30, 0x2C
TIME_INFO_SIZE = 32

# --- event channels (event_channel.h)
EVTCHNSTAT_closed, EVTCHNSTAT_unbound, EVTCHNSTAT_interdomain, EVTCHNSTAT_virq, EVTCHNSTAT_ipi = (
    0, 1, 2, 4, 5,
)  # fmt: skip
EVTCHNSTAT_pirq = 3
MAP_PIRQ_TYPE_GSI = 1  # physdev.h
NR_VIRQS = 24
VIRQ_TIMER, VIRQ_DEBUG, VIRQ_XENOPROF = 0, 1, 7
VCPU_VIRQS = (VIRQ_TIMER, VIRQ_DEBUG, VIRQ_XENOPROF)  # one for each vCPU; others for the domain

# --- HVM parameters (hvm/params.h)
HVM_NR_PARAMS = 39
HVM_PARAM_CALLBACK_IRQ = 0
HVM_PARAM_STORE_PFN, HVM_PARAM_STORE_EVTCHN = 1, 2
HVM_PARAM_VM86_TSS, HVM_PARAM_CONSOLE_PFN, HVM_PARAM_CONSOLE_EVTCHN = 15, 17, 18
HVM_PARAM_ACPI_IOPORTS_LOCATION, HVM_PARAM_VM_GENERATION_ID_ADDR = 19, 34
HVM_PARAM_ALTP2M, HVM_PARAM_X87_FIP_WIDTH, HVM_PARAM_VM86_TSS_SIZED = 35, 36, 37
CALLBACK_VIA_GSI, CALLBACK_VIA_PCI_INTX = 0, 1
CALLBACK_VIA_VECTOR = 2  # the top byte of CALLBACK_IRQ
VERSION_PHYS_AREAS = 4 << 16 | 18  # ... where areas may be named by physical address
VERSION_UPCALL_VECTOR = 4 << 16 | 17  # the first where vCPUs have vectors of their own
MIN_VECTOR = 16  # of an upcall

# --- scheduling (sched.h)
SHUTDOWN_poweroff, SHUTDOWN_reboot, SHUTDOWN_crash = 0, 1, 3
SHUTDOWN_watchdog, SHUTDOWN_soft_reset = 4, 5


# --- what a guest may switch on (xen.h), and states of a vCPU (vcpu.h)
VMASST_enable, VMASST_disable = 0, 1
VMASST_TYPE_runstate_update_flag = 5
RUNSTATE_running, RUNSTATE_offline = 0, 3


class XenError(Exception):
    """A hypercall ends with -number. Never leaves the hypercall dispatcher."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Again(Exception):
    """A long hypercall: the guest makes it anew with these arguments, after what waits for it.

    Never leaves the hypercall dispatcher.
    """

    def __init__(self, *params: int) -> None:
        super().__init__(*params)
        self.params = params
