"""CPU topology as a guest decodes it."""

from __future__ import annotations

import pytest

from tests.cpuidkit import CAPS, build, host
from vmm import layout
from vmm.errors import ConfigError
from vmm.kvm import cpuid, topology
from vmm.kvm.features import EAX, EBX, ECX, EDX
from vmm.values import CpuConfig, read_cpu

SHAPES = [(1, 1, 1), (1, 4, 2), (2, 3, 2), (3, 5, 1), (5, 1, 3), (1, 1, 7), (2, 4, 4), (1, 255, 1)]


def shaped(shape: tuple[int, int, int], vendor: str) -> tuple[cpuid.CpuidTable, int]:
    sockets, cores, threads = shape
    cpus = sockets * cores * threads
    return cpuid.prepare(host(vendor=vendor), CpuConfig(topology=shape), cpus, CAPS, 0), cpus


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("vendor", ["AuthenticAMD", "GenuineIntel"])
def test_a_guest_decodes_leaf_0xb_to_the_topology_asked_for(
    shape: tuple[int, int, int], vendor: str
) -> None:
    table, cpus = shaped(shape, vendor)
    seen = []
    for vcpu_id in range(cpus):
        rows = {entry[:2]: entry for entry in table.for_vcpu(vcpu_id)}
        thread_level, core_level, end = (rows[0xB, index] for index in range(3))
        assert (thread_level[ECX], core_level[ECX], end[ECX]) == (0x100, 0x201, 2)
        assert (thread_level[EBX], core_level[EBX], end[EBX]) == (shape[2], shape[1] * shape[2], 0)
        apic = core_level[EDX]
        assert rows[1, 0][EBX] >> 24 == apic
        package, below = divmod(apic, 1 << core_level[EAX])
        core, thread = divmod(below, 1 << thread_level[EAX])
        seen.append((package, core, thread))
    sockets, cores, threads = shape
    assert seen == [(s, c, t) for s in range(sockets) for c in range(cores) for t in range(threads)]


@pytest.mark.parametrize("shape", SHAPES)
def test_amd_leaves_agree_with_leaf_0xb(shape: tuple[int, int, int]) -> None:
    table, cpus = shaped(shape, "AuthenticAMD")
    package = shape[1] * shape[2]
    for vcpu_id in range(cpus):
        rows = {entry[:2]: entry for entry in table.for_vcpu(vcpu_id)}
        assert rows[0x80000008, 0][ECX] == rows[0xB, 1][EAX] << 12 | package - 1
        extended = rows[0x8000001E, 0]
        assert extended[EAX] == rows[0xB, 0][EDX]
        assert extended[EBX] == shape[2] - 1 << 8 | vcpu_id // shape[2] % shape[1]
        assert extended[ECX] == vcpu_id // package


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("vendor", "leaf"), [("AuthenticAMD", 0x8000001D), ("GenuineIntel", 4)])
def test_level_1_is_shared_by_a_core_and_level_3_by_a_package(
    shape: tuple[int, int, int], vendor: str, leaf: int
) -> None:
    rows = {entry[:2]: entry for entry in shaped(shape, vendor)[0].for_vcpu(0)}
    first, third = ((rows[leaf, index][EAX] >> 14 & 0xFFF) + 1 for index in (0, 1))
    assert first == 1 << rows[0xB, 0][EAX]
    assert third == 1 << rows[0xB, 1][EAX]


def test_ht_and_the_thread_count_are_shown_with_several_threads_only() -> None:
    assert build()[1, 0][EDX] >> 28 & 1 == 0
    several = build("host,topology=2:3:1", 6)[1, 0]
    assert several[EDX] >> 28 & 1 == 1
    assert several[EBX] >> 16 & 0xFF == 3
    intel = build("host,topology=2:3:1", 6, vendor="GenuineIntel")[1, 0]
    assert intel[EBX] >> 16 & 0xFF == 4, "Intel counts ids, not threads"


def test_without_topology_extensions_there_is_no_leaf_0x8000001e() -> None:
    assert (0x8000001E, 0) not in build(cpus=4, topoext=False)
    assert (0x8000001E, 0) not in build(cpus=4, vendor="GenuineIntel")


def test_leaf_0x1f_is_shown_where_the_processor_has_it() -> None:
    newer = [(0, 0, 0, 0x20, *entry[4:]) if entry[0] == 0 else entry for entry in host()]
    entries = cpuid.build(newer, CpuConfig(), 4, 3, CAPS, 0)
    rows = {entry[:2]: entry for entry in entries}
    assert [rows[0x1F, index][EAX:] for index in range(3)] == [
        rows[0xB, index][EAX:] for index in range(3)
    ]


def test_apic_ids_leave_gaps_for_counts_that_are_no_powers_of_two() -> None:
    shape = topology.Topology(sockets=2, cores=3, threads=2)
    assert [topology.apic_id(shape, n) for n in range(12)] == [
        0,
        1,
        2,
        3,
        4,
        5,
        8,
        9,
        10,
        11,
        12,
        13,
    ]


def test_a_topology_whose_apic_ids_do_not_fit_is_refused() -> None:
    cpu = CpuConfig(topology=(5, 33, 1))  # 5 packages of 64 ids: 4 * 64 + 32
    with pytest.raises(ConfigError, match=f"APIC id 288, but the largest is {layout.APIC_ID_MAX}"):
        topology.of(cpu, 165)


@pytest.mark.parametrize("shape", [(0, 1, 1), (1, 2, 1), (1, 1, 0)])
def test_a_topology_that_does_not_make_cpus_is_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigError, match="but --cpus is 1"):
        topology.of(CpuConfig(topology=shape), 1)


def test_vcpus_share_every_entry_that_holds_no_apic_id() -> None:
    table = cpuid.prepare(host(), CpuConfig(), 255, CAPS, 0)
    first, last = table.for_vcpu(0), table.for_vcpu(254)
    own = [entry[0] for entry, other in zip(first, last, strict=True) if entry is not other]
    assert own == [1, 0xB, 0xB, 0xB, 0x8000001E]


def test_the_supported_table_is_left_as_it_was() -> None:
    supported = host()
    before = list(supported)
    cpuid.build(supported, read_cpu("none"), 1, 0, CAPS, 1)
    assert supported == before
