"""What CPUID shows each vCPU: KVM's supported table, cut by --cpu, with topology and APIC ids.

`prepare` does the work that is the same for all vCPUs once per machine, `CpuidTable.for_vcpu`
patches the few entries that hold an APIC id. Leaves: SDM volume 2 (CPUID), AMD APM volume 3
appendix E, Documentation/virt/kvm/x86/cpuid.rst.
"""

from __future__ import annotations

from vmm.kvm import topology
from vmm.kvm.features import EAX, EBX, ECX, EDX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vmm.kvm.topology import Topology
    from vmm.values import CpuConfig

    CpuidEntry = tuple[int, int, int, int, int, int, int]  # function, index, flags, eax .. edx
    Rows = dict[tuple[int, int], list[int]]  # (function, index): a CpuidEntry that can be changed

SIGNIFICANT_INDEX = 1  # KVM_CPUID_FLAG_SIGNIFCANT_INDEX
TSC_DEADLINE, X2APIC, HYPERVISOR = 1 << 24, 1 << 21, 1 << 31  # leaf 1 ECX
HTT = 1 << 28  # leaf 1 EDX
CMP_LEGACY, TOPOEXT = 1 << 1, 1 << 22  # leaf 0x80000001 ECX
AMD_ALIASES = 0x0183F3FF  # bits of leaf 0x80000001 EDX that repeat leaf 1 EDX on AMD
AMD_VENDORS = (b"AuthenticAMD", b"HygonGenuine")
KVM_BASE, KVM_FEATURES, KVM_TIMING = 0x40000000, 0x40000001, 0x40000010
APIC_BUS_KHZ = 1_000_000  # KVM's local APIC timers tick once a nanosecond
EXTENDED_BASE = 0x80000000
TOPOLOGY_LEAVES = (0xB, 0x1F)
LEVEL_THREAD, LEVEL_CORE = 1, 2  # level types of leaves 0xb and 0x1f
FIELD8, FIELD6 = 0xFF, 0x3F  # what fits in a field of so many bits
OWN_LEAVES = (1, 0x8000001E, *TOPOLOGY_LEAVES)  # hold an APIC id


class CpuidTable:
    """The entries of a whole machine. Immutable once made."""

    def __init__(self, rows: Rows, shape: Topology) -> None:
        # A leaf that is all zeroes reads the same when it is absent.
        shown = sorted(row for row in rows.values() if any(row[EAX:]) or row[0] in OWN_LEAVES)
        self._entries: list[CpuidEntry] = [tuple(row) for row in shown]  # type: ignore[misc]
        self._shape = shape
        self._own = [place for place, entry in enumerate(self._entries) if entry[0] in OWN_LEAVES]

    def for_vcpu(self, vcpu_id: int) -> list[CpuidEntry]:
        """The table of vCPU `vcpu_id` (0 .. cpus - 1)."""
        shape = self._shape
        apic = topology.apic_id(shape, vcpu_id)
        core = vcpu_id // shape.threads
        entries = self._entries.copy()
        for place in self._own:
            function, index, flags, eax, ebx, ecx, edx = entries[place]
            if function == 1:
                ebx |= apic << 24
            elif function == 0x8000001E:
                eax, ebx, ecx = apic, ebx | core % shape.cores, core // shape.cores & FIELD8
            else:
                edx = apic
            entries[place] = function, index, flags, eax, ebx, ecx, edx
        return entries


def build(
    supported: Iterable[CpuidEntry],
    cpu: CpuConfig,
    cpus: int,
    vcpu_id: int,
    caps: Mapping[str, int],
    tsc_khz: int,
) -> list[CpuidEntry]:
    """The table of one vCPU; for several, `prepare` once. ConfigError as there."""
    return prepare(supported, cpu, cpus, caps, tsc_khz).for_vcpu(vcpu_id)


def prepare(
    supported: Iterable[CpuidEntry],
    cpu: CpuConfig,
    cpus: int,
    caps: Mapping[str, int],
    tsc_khz: int,
) -> CpuidTable:
    """The machine's table.

    `supported` is KVM_GET_SUPPORTED_CPUID's, `caps` capability values by uapi name, `tsc_khz` the
    guest's TSC frequency (0: unknown, the timing leaf stays out). ConfigError lists every feature
    that does not exist or that KVM does not offer here, or says why the topology cannot be.
    """
    rows: Rows = {(entry[0], entry[1]): list(entry) for entry in supported}
    shape = topology.of(cpu, cpus)
    if cpu.vendor:
        _set_vendor(rows, cpu.vendor)
    _add_machine(rows, caps, tsc_khz)
    amd = _is_amd(rows)
    _add_topology(rows, shape, amd)
    if cpu.base == "none" or cpu.add or cpu.remove:
        from vmm.kvm import cpumodel  # most boots do without

        cpumodel.choose(rows, cpu, amd=amd)
    if amd and (0x80000001, 0) in rows:
        extended = rows[0x80000001, 0]
        extended[EDX] = extended[EDX] & ~AMD_ALIASES | rows[1, 0][EDX] & AMD_ALIASES
    return CpuidTable(rows, shape)


def _row(rows: Rows, function: int, index: int = 0, flags: int = 0) -> list[int]:
    return rows.setdefault((function, index), [function, index, flags, 0, 0, 0, 0])


def _set_vendor(rows: Rows, vendor: str) -> None:
    name = vendor.encode("ascii")
    for function in (0, EXTENDED_BASE):
        row = _row(rows, function)
        row[EBX], row[EDX], row[ECX] = (
            int.from_bytes(name[at : at + 4], "little") for at in (0, 4, 8)
        )


def _is_amd(rows: Rows) -> bool:
    row = _row(rows, 0)
    return b"".join(row[at].to_bytes(4, "little") for at in (EBX, EDX, ECX)) in AMD_VENDORS


def _add_machine(rows: Rows, caps: Mapping[str, int], tsc_khz: int) -> None:
    """What the in-kernel local APIC and KVM give, whatever the host's processor has."""
    row = _row(rows, 1)
    row[ECX] |= X2APIC | HYPERVISOR
    if caps.get("KVM_CAP_TSC_DEADLINE_TIMER"):
        row[ECX] |= TSC_DEADLINE  # KVM leaves it out of its table: it needs the in-kernel APIC
    if tsc_khz and (KVM_BASE, 0) in rows:
        base, timing = rows[KVM_BASE, 0], _row(rows, KVM_TIMING)
        base[EAX] = max(base[EAX], KVM_TIMING)
        timing[EAX], timing[EBX] = tsc_khz, APIC_BUS_KHZ


def _add_topology(rows: Rows, shape: Topology, amd: bool) -> None:
    """Every field that tells of threads, cores and packages, apart from the APIC ids."""
    package, shift = shape.cores * shape.threads, shape.socket_shift()
    row = _row(rows, 1)
    logical = package if amd else 1 << shift  # AMD counts threads, Intel counts ids
    row[EBX] = row[EBX] & 0x0000FFFF | min(logical, FIELD8) << 16
    row[EDX] = row[EDX] | HTT if package > 1 else row[EDX] & ~HTT
    _share_caches(rows, shape)
    _add_levels(rows, shape)
    extended, sizes = _row(rows, 0x80000001), _row(rows, 0x80000008)
    extended[ECX] &= ~CMP_LEGACY
    sizes[ECX] &= ~0xF0FF
    rows.pop((0x8000001E, 0), None)
    if not amd:
        return
    if package > 1:
        extended[ECX] |= CMP_LEGACY
    sizes[ECX] |= shift << 12 | package - 1
    if extended[ECX] & TOPOEXT:
        _row(rows, 0x8000001E)[EBX] = shape.threads - 1 << 8


def _share_caches(rows: Rows, shape: Topology) -> None:
    """Level 3 belongs to a package, the others to a core; the fields count APIC ids, minus one."""
    cores = (1 << shape.socket_shift() - shape.thread_bits()) - 1
    for (function, _), row in rows.items():
        if function not in (4, 0x8000001D) or not row[EAX] & 0x1F:
            continue
        shift = shape.socket_shift() if row[EAX] >> 5 & 7 >= 3 else shape.thread_bits()
        row[EAX] = row[EAX] & 0x3FFF | (1 << shift) - 1 << 14
        if function == 4:
            row[EAX] |= min(cores, FIELD6) << 26


def _add_levels(rows: Rows, shape: Topology) -> None:
    """Leaf 0xb always, 0x1f where the processor has it (kernels prefer it)."""
    row = _row(rows, 0)
    row[EAX] = max(row[EAX], 0xB)
    for key in [key for key in rows if key[0] in TOPOLOGY_LEAVES]:
        del rows[key]
    levels = (
        (shape.thread_bits(), shape.threads, LEVEL_THREAD << 8 | 0),
        (shape.socket_shift(), shape.cores * shape.threads, LEVEL_CORE << 8 | 1),
        (0, 0, 2),  # level type 0 ends the list
    )
    for function in TOPOLOGY_LEAVES:
        if function <= row[EAX]:
            for index, values in enumerate(levels):
                _row(rows, function, index, SIGNIFICANT_INDEX)[EAX:EDX] = values
