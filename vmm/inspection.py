"""Looking at a machine: counters and state as plain data, for --stats, control socket and tests.

Counters are read while vCPUs run: each is exact, together they are only nearly of one moment.
"""

from __future__ import annotations

from vmm.crash import exit_name
from vmm.native import lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.machine import Machine
    from vmm.native import Fd
    from vmm.vcpu import Vcpu
    from vmm.xen.domain import XenDomain

SPACES = {
    1: "pio-read",
    2: "pio-write",
    3: "mmio-read",
    4: "mmio-write",
    5: "msr-read",
    6: "msr-write",
}


def histogram(hist: Any) -> list[dict[str, object]]:
    """Accesses by space and address, most frequent first; what did not fit is `other`."""
    rows: list[dict[str, Any]] = [
        {"space": SPACES[slot.key & 7], "address": slot.key >> 3, "count": slot.count}
        for slot in hist.slot
        if slot.key
    ]
    rows.sort(key=lambda row: (-row["count"], row["space"], row["address"]))
    if hist.other:
        rows.append({"space": "other", "address": 0, "count": hist.other})
    return rows


def vcpu_stats(vcpu: Vcpu) -> dict[str, Any]:
    """One vCPU's exits by reason and by address, and where its time went (ns)."""
    counters = vcpu.pointer.counters
    last = lib.VCPU_REASONS - 1
    return {
        "id": vcpu.id,
        "exits": sum(counters.reason),
        "interrupted": counters.interrupted,
        "returns": counters.returns,
        "injected": counters.injected,
        "coalesced": counters.coalesced,
        "reasons": {
            "other" if n == last else exit_name(n): counters.reason[n]
            for n in range(lib.VCPU_REASONS)
            if counters.reason[n]
        },
        "times": vcpu.schedule.times(),
        "accesses": histogram(vcpu.pointer.hist),
    }


def stats(machine: Machine) -> dict[str, Any]:
    """Every counter of a machine. `upcalls` counts entries into Python made by guest accesses."""
    hardware = machine.hardware
    upcalls = [device.counts() for device in hardware.python_devices]
    return {
        "vcpus": [vcpu_stats(vcpu) for vcpu in hardware.vcpus],
        "coalesced": {
            "writes": hardware.core.coalesced,
            "accesses": histogram(hardware.core.coalesced_hist),
        },
        "bus": {"pio": hardware.pio.counts(), "mmio": hardware.mmio.counts()},
        "upcalls": {
            "count": sum(counts["upcalls"] for counts in upcalls)
            + sum(vcpu.pointer.counters.returns for vcpu in hardware.vcpus),
            "worst_ns": max((counts["worst_ns"] for counts in upcalls), default=0),
        },
        "memory": hardware.memory.counts(),
        "devices": {d.name: d.counters() for d in hardware.devices},
        **({"xen": {"refused": refusals(hardware.xen)}} if hardware.xen else {}),
        "resets": machine.resets,
        "kvm": kvm_stats(machine),
    }


def refusals(xen: XenDomain) -> list[dict[str, object]]:
    """Hypercalls that were refused, and whether Xen would have refused them, too."""
    from vmm.xen.seen import conformance

    with xen.lock:
        refused = dict(xen.refused)
    return conformance(refused)


def kvm_stats(machine: Machine) -> dict[str, Any]:
    """KVM's own counters (KVM_GET_STATS_FD) of VM and vCPUs, where the kernel has them.

    Any state: a running vCPU opens its own descriptor, as the ioctl would wait for it otherwise.
    """
    from vmm.kvm import stats as kvm

    hardware = machine.hardware
    if not hardware.caps["KVM_CAP_BINARY_STATS_FD"]:
        return {}
    return {
        "vm": kvm.read(hardware.vm.get_stats_fd()),
        "vcpus": [kvm.read(_stats_fd(machine, vcpu)) for vcpu in hardware.vcpus],
    }


def _stats_fd(machine: Machine, vcpu: Vcpu) -> Fd:
    if machine.state in ("running", "paused"):
        fd: Fd = machine.on_vcpu(vcpu, vcpu.kvm.get_stats_fd)
        return fd
    return vcpu.kvm.get_stats_fd()


def info(machine: Machine) -> dict[str, Any]:
    """What the machine is and in which state."""
    config, hardware = machine.config, machine.hardware
    return {
        "name": config.name,
        "state": machine.state,
        "machine": config.machine,
        "irqchip": config.irqchip,
        "vcpus": config.cpus,
        "memory": [{"base": base, "size": size} for base, size in hardware.memory.ranges()],
        "kernel": {
            "path": config.kernel,
            "format": machine.boot.format,
            "protocol": machine.boot.protocol,
        },
        "pieces": [{"name": p.name, "base": p.base, "size": p.length} for p in machine.boot.pieces],
        "devices": [device.name for device in hardware.devices],
        "pci": [function.describe() for function in hardware.pci_functions()],
        "resets": machine.resets,
    }
