"""What `vmm doctor` finds out about KVM itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vmm.errors import HostError, VmmError
from vmm.host.survey import ABSENT, LIMITED, MISSING, OK, Finding, read

XEN_FLAGS = (  # KVM_XEN_HVM_CONFIG_*, Documentation/virt/kvm/api.rst 8.29
    (0, "HYPERCALL_MSR", "hypercall page"),
    (1, "INTERCEPT_HCALL", "hypercalls handled here"),
    (2, "SHARED_INFO", "shared info page in the kernel"),
    (3, "RUNSTATE", "steal time"),
    (4, "EVTCHN_2LEVEL", "event channels as interrupts"),
    (5, "EVTCHN_SEND", "event channels without an exit"),
    (6, "RUNSTATE_UPDATE_FLAG", "consistent run-state reads"),
    (7, "PVCLOCK_TSC_UNSTABLE", "honest clock flags"),
    (8, "SHARED_INFO_HVA", "shared info that moves with memory"),
)


def kvm_findings(root: str = "/", path: str = "/dev/kvm") -> Iterator[Finding]:
    """The device, whether it is KVM, its capabilities, Xen, and whether a stock kernel runs."""
    from vmm.kvm import caps
    from vmm.kvm.system import System
    from vmm.native import lib
    from vmm.xen.usercaps import NEEDED

    try:
        system = System(path)
    except HostError as error:
        found = str(error).partition("; ")[0]
        yield _finding("Virtualization", path, MISSING, found, "running any guest", mend(root))
        return
    with system:
        yield _finding("Virtualization", path, OK, "KVM API version 12", "running any guest")
        values = caps.probe(system.fd)
        others = {name: caps.check_extension(system.fd, getattr(lib, name)) for name in NEEDED}
    yield stock_kernel()
    yield nested(root)
    for cap in caps.CAPABILITIES:
        if cap.name == "KVM_CAP_XEN_HVM":
            continue
        value = values[cap.name]
        status = OK if value else MISSING if cap.needed else ABSENT
        yield _finding("KVM", cap.name, status, str(value) if value else "no", cap.purpose)
    flags = values.get("KVM_CAP_XEN_HVM", 0)
    yield xen_backend(flags, others)
    yield from xen(flags)


def mend(root: str) -> str:
    """The command that most likely makes /dev/kvm usable."""
    import os

    from vmm.host.survey import at

    flags = read(root, "/proc/cpuinfo").split()
    device = at(root, "/dev/kvm")
    if os.path.exists(device) and not os.access(device, os.R_OK | os.W_OK):
        return "sudo usermod -aG kvm $USER, then log in again"
    if os.path.exists(device):
        return f"see what {device} is: ls -l {device}"
    for flag, module in (("vmx", "kvm_intel"), ("svm", "kvm_amd")):
        if flag in flags:
            return f"modprobe {module}"
    return "this CPU shows no vmx or svm: switch virtualization on in the firmware, or nested " \
        "virtualization in the hypervisor above; `vmm lab` works without"  # fmt: skip


def stock_kernel() -> Finding:
    from vmm.host.kvm import stock_kernel_problem

    problem = stock_kernel_problem()
    return _finding(
        "Virtualization",
        "stock Linux kernels",
        LIMITED if problem else OK,
        problem or "run",
        "guests other than tiny ones",
        "use `vmm lab`" if problem else "",
    )


def nested(root: str) -> Finding:
    value = next(
        (
            found
            for module in ("kvm_intel", "kvm_amd")
            if (found := read(root, f"/sys/module/{module}/parameters/nested"))
        ),
        "",
    )
    on = value in ("1", "Y")
    return _finding(
        "Virtualization",
        "nested virtualization",
        OK if on else ABSENT,
        "on" if on else "off" if value else "not offered",
        "machines inside guests",
        "" if on or not value else "reload the kvm module with nested=1",
    )


def xen_backend(flags: int, others: dict[str, int]) -> Finding:
    """Which back-end --xen gets here, and why not the faster one. others: see usercaps.NEEDED."""
    from vmm.xen.kvmcaps import check_flags
    from vmm.xen.usercaps import check_caps

    kvm, own = _refusal(lambda: check_flags(flags)), _refusal(lambda: check_caps(others))
    if not kvm:
        status, found, mend = OK, "kvm", ""
    elif not own:
        status, found = LIMITED, f"userspace: {kvm}"
        mend = "more speed needs a kernel with CONFIG_KVM_XEN"
    else:
        status, found, mend = ABSENT, f"none: {kvm}; {own}", "a newer kernel"
    return _finding("Xen", "--xen-backend", status, found, "Xen HVM guests", mend)


def _refusal(check: Callable[[], None]) -> str:
    try:
        check()
    except HostError as error:
        return str(error).partition(", ")[0]
    return ""


def xen(flags: int) -> Iterator[Finding]:
    yield _finding(
        "Xen", "KVM_CAP_XEN_HVM", OK if flags else ABSENT, hex(flags) if flags else "no",
        "Xen HVM guests", "" if flags else "a kernel with CONFIG_KVM_XEN",
    )  # fmt: skip
    if flags:
        for bit, name, purpose in XEN_FLAGS:
            there = bool(flags >> bit & 1)
            yield _finding("Xen", name, OK if there else ABSENT, "yes" if there else "no", purpose)


def _finding(
    topic: str, name: str, status: str, found: str, needed_for: str, mend: str = ""
) -> Finding:
    return Finding(
        topic=topic, name=name, status=status, found=found, needed_for=needed_for, mend=mend
    )


def unusable(error: VmmError | ImportError) -> Finding:
    """KVM could not even be asked."""
    return _finding("Virtualization", "the C core", MISSING, str(error), "everything", "make")
