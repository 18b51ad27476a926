"""What a host has of the things that tests need (tests/where.py lists them)."""

from __future__ import annotations

import os


class Host:
    """What this host offers, each thing probed once."""

    def __init__(self) -> None:
        self._known: dict[str, str | None] = {}

    def lacks(self, need: str) -> str | None:
        """None if the host has it, else why not."""
        if need not in self._known:
            self._known[need] = self._probe(need)
        return self._known[need]

    def _probe(self, need: str) -> str | None:
        if need == "root":
            return None if os.geteuid() == 0 else "not root"
        if need == "older-kernel":
            return None  # fetched before the lab starts, or by whoever asks for it
        if need == "kvm":
            return _kvm_problem()
        if need == "xen":
            return _kvm_problem() or _xen_problem()
        if need == "hyperv":
            return _kvm_problem() or _capability_problem("KVM_CAP_SYS_HYPERV_CPUID")
        if need in ("tap", "vhost-net"):
            return _network_problem(need)
        if need in ("vfio", "vfio-iommufd"):
            return None if os.environ.get("VMM_LAB") else "the devices of a real host are in use"
        if need == "stock-kernel":
            from vmm.host.kvm import stock_kernel_problem

            return stock_kernel_problem()
        from tests.guests import probe_problem

        return _kvm_problem() or probe_problem(need)


def _kvm_problem() -> str | None:
    from vmm.errors import VmmError
    from vmm.kvm.system import System

    try:
        with System() as system:
            system.create_vm().close()
    except VmmError as error:
        return str(error)
    return None


def _xen_problem() -> str | None:
    from vmm.errors import VmmError
    from vmm.kvm.system import System
    from vmm.native import lib
    from vmm.xen.kvmcaps import check_flags

    try:
        with System() as system:
            check_flags(system.fd.ioctl_value("KVM_CHECK_EXTENSION", lib.KVM_CAP_XEN_HVM))
    except VmmError as error:
        return str(error)
    return None


def _capability_problem(name: str) -> str | None:
    from vmm.kvm.system import System

    with System() as system:
        return None if system.check_extension(name) else f"no {name}"


def _network_problem(need: str) -> str | None:
    from vmm.backends.tap import TapConfig, open_tap
    from vmm.backends.vhost import VhostNet
    from vmm.errors import VmmError

    try:
        (open_tap(TapConfig()) if need == "tap" else VhostNet(1)).close()
    except VmmError as error:
        return str(error)
    return None
