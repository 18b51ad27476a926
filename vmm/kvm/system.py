"""/dev/kvm itself: opening it, what it can do, the CPUID it supports, creating VMs."""

from __future__ import annotations

import os

from vmm.errors import HostError, KvmError
from vmm.kvm.vm import Vm
from vmm.native import Fd, ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.kvm.cpuid import CpuidEntry

KVM_API_VERSION = 12  # Documentation/virt/kvm/api.rst, 4.1: fixed for good
MAX_CPUID_ENTRIES = 256
HYPERV_MSRS = range(0x40000000, 0x40000200)
# GUEST_OS_ID, HYPERCALL, VP_INDEX, VP_RUNTIME, REFERENCE_TSC, VP_ASSIST_PAGE; in the order in which
# they must be written. The others are constant, or belong to what no guest is shown.
HYPERV_STATE_MSRS = (0x40000000, 0x40000001, 0x40000002, 0x40000010, 0x40000021, 0x40000073)
EXTENDED_BASE, NAME_LEAVES = 0x80000000, (0x80000002, 0x80000003, 0x80000004)


def open_device(path: str) -> Fd:
    """Opens the KVM device node; HostError says what to do when that fails."""
    try:
        return Fd(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        problem, advice = "it does not exist", "load kvm_intel or kvm_amd, or use `vmm lab`"
    except PermissionError:
        problem, advice = "permission denied", "join the group that owns it (usually `kvm`)"
    except OSError as error:
        problem, advice = error.strerror or str(error), "see `vmm doctor`"
    raise HostError(f"Opening {path} failed: {problem}; {advice}")


def _name() -> list[CpuidEntry]:
    """The leaves of the processor's name (SDM volume 2, CPUID; AMD APM volume 3, E.4.2)."""
    answer = ffi.new("uint32_t[4]")
    lib.sys_cpuid(EXTENDED_BASE, 0, answer)
    entries: list[CpuidEntry] = []
    for leaf in NAME_LEAVES if answer[0] >= max(NAME_LEAVES) else ():
        lib.sys_cpuid(leaf, 0, answer)
        entries.append((leaf, 0, 0, answer[0], answer[1], answer[2], answer[3]))
    return entries


class System:
    """The system descriptor. Closes with the context."""

    def __init__(self, path: str = "/dev/kvm") -> None:
        self.path = path
        self.fd = open_device(path)
        try:
            version = self.fd.ioctl_value("KVM_GET_API_VERSION")
        except KvmError as error:
            self.fd.close()
            raise HostError(
                f"Asking {path} for its KVM API version failed: {error.strerror}; "
                "it is not the KVM device, see `vmm doctor`"
            ) from None
        if version != KVM_API_VERSION:
            self.fd.close()
            raise HostError(f"{path} speaks KVM API version {version}, this program 12")

    def __enter__(self) -> System:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.fd.close()

    def check_extension(self, name: str) -> int:
        """The value of one capability, by its uapi name; 0 means absent."""
        return self.fd.ioctl_value("KVM_CHECK_EXTENSION", getattr(lib, name))

    def vcpu_mmap_size(self) -> int:
        """Bytes of a vCPU's shared mapping: kvm_run and what follows it."""
        return self.fd.ioctl_value("KVM_GET_VCPU_MMAP_SIZE")

    def create_vm(self) -> Vm:
        return Vm(Fd(self.fd.ioctl_value("KVM_CREATE_VM", 0)), self.vcpu_mmap_size())

    def supported_cpuid(self) -> list[CpuidEntry]:
        """KVM_GET_SUPPORTED_CPUID: what the host's CPU and KVM can show a guest.

        With the processor's name, which KVM leaves out.
        """
        shown = self._cpuid("KVM_GET_SUPPORTED_CPUID")
        return [entry for entry in shown if entry[0] not in NAME_LEAVES] + _name()

    def hyperv_cpuid(self) -> list[CpuidEntry]:
        """KVM_GET_SUPPORTED_HV_CPUID, where KVM_CAP_SYS_HYPERV_CPUID says that there is one."""
        return self._cpuid("KVM_GET_SUPPORTED_HV_CPUID")

    def _cpuid(self, request: str) -> list[CpuidEntry]:
        table = ffi.new(
            "struct kvm_cpuid2 *", {"nent": MAX_CPUID_ENTRIES, "entries": MAX_CPUID_ENTRIES}
        )
        self.fd.ioctl(request, table)
        return [
            (e.function, e.index, e.flags, e.eax, e.ebx, e.ecx, e.edx)
            for e in table.entries[0 : table.nent]
        ]

    def msr_indices(self, *, hyperv: bool = False) -> list[int]:
        """KVM_GET_MSR_INDEX_LIST: the MSRs that make up a vCPU's saved state.

        Hyper-V's are in KVM's list whether a guest is shown them or not.
        """
        probe = ffi.new("struct kvm_msr_list *", {"nmsrs": 0, "indices": 0})
        lib.sys_ioctl(self.fd.number, lib.KVM_GET_MSR_INDEX_LIST, probe)  # E2BIG, and the count
        count = probe.nmsrs
        table = ffi.new("struct kvm_msr_list *", {"nmsrs": count, "indices": count})
        self.fd.ioctl("KVM_GET_MSR_INDEX_LIST", table)
        rest = [index for index in table.indices[0 : table.nmsrs] if index not in HYPERV_MSRS]
        return [*HYPERV_STATE_MSRS, *rest] if hyperv else rest
