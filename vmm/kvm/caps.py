"""The table of KVM capabilities that matter here, and what each is needed for.

Probing asks the kernel (KVM_CHECK_EXTENSION), never its version: a value of 0 means absent.
"""

from __future__ import annotations

from vmm.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.native import Fd


class Capability(Record):
    """One row: the uapi name, whether a machine cannot do without it, and what it is for."""

    name: str
    needed: bool
    purpose: str


CAPABILITIES = (
    Capability(name="KVM_CAP_USER_MEMORY", needed=True, purpose="guest memory"),
    Capability(name="KVM_CAP_SET_TSS_ADDR", needed=True, purpose="real mode on Intel hosts"),
    Capability(
        name="KVM_CAP_SET_IDENTITY_MAP_ADDR", needed=False, purpose="real mode on Intel hosts"
    ),
    Capability(name="KVM_CAP_IRQCHIP", needed=True, purpose="local APICs in the kernel"),
    Capability(name="KVM_CAP_EXT_CPUID", needed=True, purpose="choosing what CPUID shows"),
    Capability(
        name="KVM_CAP_IMMEDIATE_EXIT", needed=True, purpose="stopping a vCPU without lost wake-ups"
    ),
    Capability(
        name="KVM_CAP_MP_STATE", needed=True, purpose="secondary vCPUs that wait for INIT and SIPI"
    ),
    Capability(
        name="KVM_CAP_VCPU_EVENTS", needed=True, purpose="reset, saving and restoring a vCPU"
    ),
    Capability(name="KVM_CAP_PIT2", needed=False, purpose="the in-kernel PIT of --machine legacy"),
    Capability(name="KVM_CAP_SPLIT_IRQCHIP", needed=False, purpose="--irqchip split"),
    Capability(name="KVM_CAP_IRQ_ROUTING", needed=False, purpose="MSI and GSI routing"),
    Capability(
        name="KVM_CAP_SIGNAL_MSI", needed=False, purpose="--irqchip split, MSI from devices"
    ),
    Capability(name="KVM_CAP_IRQFD", needed=False, purpose="interrupts without an exit"),
    Capability(name="KVM_CAP_IRQFD_RESAMPLE", needed=False, purpose="level-triggered irqfds"),
    Capability(name="KVM_CAP_IOEVENTFD", needed=False, purpose="doorbells without an exit"),
    Capability(name="KVM_CAP_COALESCED_MMIO", needed=False, purpose="queued MMIO writes"),
    Capability(
        name="KVM_CAP_COALESCED_PIO",
        needed=False,
        purpose="queued port writes: a faster serial port",
    ),
    Capability(name="KVM_CAP_XCRS", needed=False, purpose="saving XCR0"),
    Capability(name="KVM_CAP_XSAVE", needed=False, purpose="saving FPU state"),
    Capability(name="KVM_CAP_XSAVE2", needed=False, purpose="saving FPU state beyond 4 KiB"),
    Capability(name="KVM_CAP_DEBUGREGS", needed=False, purpose="saving debug registers"),
    Capability(
        name="KVM_CAP_ADJUST_CLOCK", needed=False, purpose="kvmclock across pause and restore"
    ),
    Capability(
        name="KVM_CAP_KVMCLOCK_CTRL", needed=False, purpose="no soft-lockup reports after a pause"
    ),
    Capability(name="KVM_CAP_TSC_CONTROL", needed=False, purpose="--tsc-khz other than the host's"),
    Capability(
        name="KVM_CAP_GET_TSC_KHZ", needed=False, purpose="telling the guest its TSC frequency"
    ),
    Capability(name="KVM_CAP_TSC_DEADLINE_TIMER", needed=False, purpose="cheap guest timers"),
    Capability(name="KVM_CAP_READONLY_MEM", needed=False, purpose="ROM regions"),
    Capability(name="KVM_CAP_MCE", needed=False, purpose="machine-check banks"),
    Capability(name="KVM_CAP_SYS_HYPERV_CPUID", needed=False, purpose="--hyperv"),
    Capability(
        name="KVM_CAP_HYPERV_ENFORCE_CPUID", needed=False, purpose="--hyperv: no more than it shows"
    ),
    Capability(name="KVM_CAP_X2APIC_API", needed=False, purpose="x2APIC ids, interrupt remapping"),
    Capability(name="KVM_CAP_X86_USER_SPACE_MSR", needed=False, purpose="MSRs handled here"),
    Capability(name="KVM_CAP_X86_MSR_FILTER", needed=False, purpose="MSRs handled here"),
    Capability(
        name="KVM_CAP_BINARY_STATS_FD", needed=False, purpose="KVM's own counters in --stats"
    ),
    Capability(
        name="KVM_CAP_EXIT_ON_EMULATION_FAILURE",
        needed=False,
        purpose="instruction bytes of a failed emulation",
    ),
    Capability(name="KVM_CAP_MAX_VCPUS", needed=False, purpose="the largest --cpus"),
    Capability(name="KVM_CAP_NR_MEMSLOTS", needed=False, purpose="memory slots"),
    Capability(name="KVM_CAP_XEN_HVM", needed=False, purpose="Xen HVM guests in the kernel"),
)


def probe(fd: Fd) -> dict[str, int]:
    """The value of every capability in the table, asked of a system or VM descriptor."""
    from vmm.native import lib

    return {cap.name: check_extension(fd, getattr(lib, cap.name)) for cap in CAPABILITIES}


def check_extension(fd: Fd, number: int) -> int:
    """KVM_CHECK_EXTENSION: 0 for an absent capability, else its value."""
    return fd.ioctl_value("KVM_CHECK_EXTENSION", number)


def missing(values: dict[str, int]) -> list[Capability]:
    """The needed capabilities that `values` lacks."""
    return [cap for cap in CAPABILITIES if cap.needed and not values.get(cap.name)]
