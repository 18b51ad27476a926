"""What CPUID shows a guest, as reviewed text, for several hosts and --cpu values."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap

import pytest

from tests.golden import golden
from vmm.kvm import cpuid, features
from vmm.values import read_cpu

HOSTS = Path(__file__).with_name("cpuid-hosts")
CAPS = {"KVM_CAP_TSC_DEADLINE_TIMER": 1}
TSC_KHZ = 2_600_000

# name of the golden file: host, --cpu, --cpus, the vCPUs shown
CASES = {
    "amd-topoext-host-1": ("amd-topoext", "host", 1, (0,)),
    "amd-topoext-host-2x3x2": ("amd-topoext", "host,topology=2:3:2", 12, (0, 1, 7, 11)),
    "amd-topoext-vendor-intel": ("amd-topoext", "host,vendor=GenuineIntel", 2, (1,)),
    "amd-lab-host-4": ("amd-lab", "host", 4, (0, 3)),
    "amd-lab-none-1": ("amd-lab", "none", 1, (0,)),
    "amd-lab-none-avx": ("amd-lab", "none,+xsave,+avx,+avx2", 1, (0,)),
    "amd-lab-without": ("amd-lab", "host,-avx,-kvmclock,-svm,-x2apic", 1, (0,)),
    "intel-host-1": ("intel", "host", 1, (0,)),
    "intel-host-255": ("intel", "host", 255, (0, 254)),
    "intel-host-2x4x2": ("intel", "host,topology=2:4:2", 16, (0, 15)),
    "intel-none-2": ("intel", "none", 2, (1,)),
    "intel-without-avx512": ("intel", "host,-avx512f,-pku,-ibrs", 1, (0,)),
}


def supported(host: str) -> list[cpuid.CpuidEntry]:
    """A table recorded as lines of hexadecimal numbers."""
    lines = (HOSTS / f"{host}.supported").read_text().splitlines()
    return [
        tuple(int(word, 16) for word in line.split()) for line in lines if not line.startswith("#")
    ]


def dump(case: str) -> str:
    host, spec, cpus, shown = CASES[case]
    table = cpuid.prepare(supported(host), read_cpu(spec), cpus, CAPS, TSC_KHZ)
    lines = [f"# {host}, --cpu {spec}, --cpus {cpus}"]
    before: set[str] = set()
    for vcpu_id in shown:
        entries = [line(entry) for entry in table.for_vcpu(vcpu_id)]
        lines.append(f"vCPU {vcpu_id}" + (", where it differs" if before else ""))
        lines.extend(text for text in entries if text not in before)
        before = before or set(entries)
    lines.extend(wrap(" ".join(names(table.for_vcpu(0))), 96))
    return "\n".join(lines) + "\n"


def line(entry: cpuid.CpuidEntry) -> str:
    function, index, flags, *registers = entry
    return f"{function:08x} {index:x} {flags:x} " + " ".join(f"{value:08x}" for value in registers)


def names(entries: list[cpuid.CpuidEntry]) -> list[str]:
    rows = {entry[:2]: entry for entry in entries}
    return sorted(
        name
        for name, (function, index, register, bit) in features.table().items()
        if (function, index) in rows and rows[function, index][register] >> bit & 1
    )


@pytest.mark.parametrize("case", CASES)
def test_cpuid(case: str) -> None:
    golden.check(f"cpuid-{case}.txt", dump(case))
