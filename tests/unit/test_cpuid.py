"""CPUID: features by name, --cpu, and topology as a guest decodes it."""

from __future__ import annotations

import pytest

from vmm import layout
from vmm.errors import ConfigError
from vmm.kvm import cpuid, features, topology
from vmm.kvm.features import EAX, EBX, ECX, EDX
from vmm.values import CpuConfig, read_cpu

CAPS = {"KVM_CAP_TSC_DEADLINE_TIMER": 1}
INDEXED = 1


def text(name: str) -> tuple[int, int, int]:
    raw = name.encode()
    return tuple(int.from_bytes(raw[at : at + 4], "little") for at in (0, 8, 4))  # type: ignore[return-value]


def host(
    *, vendor: str = "AuthenticAMD", leaf1: str = "", topoext: bool = True
) -> list[cpuid.CpuidEntry]:
    """A small table as KVM gives it: a few features, two caches, the KVM leaves."""
    table = features.table()
    ecx = sum(1 << table[name][3] for name in ("xsave", "avx", "fma", "pni", *leaf1.split()))
    edx = sum(1 << table[name][3] for name in ("fpu", "apic", "fxsr", "sse", "sse2", "tsc"))
    cache = 4 if vendor == "GenuineIntel" else 0x8000001D
    return [
        (0, 0, 0, 0xD, *text(vendor)),
        (1, 0, 0, 0x00A20F12, 0x07100800, ecx, edx),
        (7, 0, INDEXED, 0, 1 << 5 | 1 << 16, 0, 0),
        (0xB, 0, INDEXED, 0, 0, 0, 7),
        (0xD, 0, INDEXED, 0xE7, 0x980, 0x980, 0),
        (0xD, 2, INDEXED, 0x100, 0x240, 0, 0),
        (0xD, 5, INDEXED, 0x40, 0x340, 0, 0),
        (0xD, 6, INDEXED, 0x200, 0x380, 0, 0),
        (0xD, 7, INDEXED, 0x400, 0x580, 0, 0),
        (cache, 0, INDEXED, 0x121, 0x02C0003F, 0x3F, 0),
        (cache, 1, INDEXED, 0x163, 0x03C0003F, 0x7FFF, 1),
        (0x80000000, 0, 0, 0x80000021, *text(vendor)),
        (0x80000001, 0, 0, 0x00A20F12, 0, topoext << 22, 1 << 29 | 1 << 20),
        (0x80000008, 0, 0, 0x3030, 0, 0x7001, 0),
        (0x8000001E, 0, 0, 0, 0, 0, 0),
        (0x40000000, 0, 0, 0x40000001, *text("KVMKVMKVM\0\0\0")),
        (0x40000001, 0, 0, 0x01007EFB, 0, 0, 0),
    ]


def build(
    spec: str = "host", cpus: int = 1, vcpu_id: int = 0, **about: object
) -> dict[tuple[int, int], tuple[int, ...]]:
    caps = about.pop("caps", CAPS)
    khz = about.pop("tsc_khz", 2_500_000)
    entries = cpuid.build(host(**about), read_cpu(spec), cpus, vcpu_id, caps, khz)  # type: ignore[arg-type]
    return {entry[:2]: entry for entry in entries}


def problems(spec: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        build(spec)
    return caught.value.problems


# --- the table of names ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("fpu", (1, 0, EDX, 0)),
        ("sep", (1, 0, EDX, 11)),
        ("clflush", (1, 0, EDX, 19)),
        ("pbe", (1, 0, EDX, 31)),
        ("cx16", (1, 0, ECX, 13)),
        ("pcid", (1, 0, ECX, 17)),
        ("hypervisor", (1, 0, ECX, 31)),
        ("avx2", (7, 0, EBX, 5)),
        ("smap", (7, 0, EBX, 20)),
        ("avx512vl", (7, 0, EBX, 31)),
        ("la57", (7, 0, ECX, 16)),
        ("rdpid", (7, 0, ECX, 22)),
        ("pks", (7, 0, ECX, 31)),
        ("md_clear", (7, 0, EDX, 10)),
        ("spec_ctrl_ssbd", (7, 0, EDX, 31)),
        ("avx_vnni", (7, 1, EAX, 4)),
        ("fred", (7, 1, EAX, 17)),
        ("lam", (7, 1, EAX, 26)),
        ("prefetchi", (7, 1, EDX, 14)),
        ("xsaves", (0xD, 1, EAX, 3)),
        ("lm", (0x80000001, 0, EDX, 29)),
        ("topoext", (0x80000001, 0, ECX, 22)),
        ("mwaitx", (0x80000001, 0, ECX, 29)),
        ("constant_tsc", (0x80000007, 0, EDX, 8)),
        ("smca", (0x80000007, 0, EBX, 3)),
        ("amd_ssbd", (0x80000008, 0, EBX, 24)),
        ("btc_no", (0x80000008, 0, EBX, 29)),
        ("autoibrs", (0x80000021, 0, EAX, 8)),
        ("srso_no", (0x80000021, 0, EAX, 29)),
        ("kvm_clocksource2", (0x40000001, 0, EAX, 3)),
        ("kvm_clocksource_stable", (0x40000001, 0, EAX, 24)),
    ],
)
def test_a_name_stands_for_the_bit_the_manuals_give(name: str, place: features.Feature) -> None:
    assert features.table()[name] == place


def test_no_two_names_share_a_bit_and_no_name_is_said_twice() -> None:
    words = [w for *_, names in features.REGISTERS for w in names.split() if w[0] != "@"]
    places = list(features.table().values())
    assert len(words) == len(set(words)) == len(set(places))
    assert all(0 <= bit <= 31 for *_, bit in places)


def test_every_rule_names_known_features() -> None:
    known = set(features.table())
    rules = {*features.NEEDS, *features.NEEDS.values(), *features.BASELINE.split()}
    rules |= {*features.XSTATE.values(), *features.LEAVES.values()}
    rules |= {name for names in features.GROUPS.values() for name in names}
    assert rules <= known


def test_a_needed_feature_is_decided_before_those_that_need_it() -> None:
    order = list(features.NEEDS)
    for place, name in enumerate(order):
        needed = features.NEEDS[name]
        assert needed not in order[place:]


# --- --cpu ----------------------------------------------------------------------------------------


def test_tsc_deadline_is_shown_only_when_the_capability_is_there() -> None:
    assert build()[1, 0][ECX] >> 24 & 1 == 1
    assert build(caps={})[1, 0][ECX] >> 24 & 1 == 0


def test_x2apic_and_hypervisor_are_shown_even_if_kvm_left_them_out() -> None:
    assert build()[1, 0][ECX] & (1 << 21 | 1 << 31) == 1 << 21 | 1 << 31


def test_the_timing_leaf_tells_tsc_and_apic_rates() -> None:
    table = build(tsc_khz=1_999_999)
    assert table[0x40000000, 0][EAX] == 0x40000010
    assert table[0x40000010, 0][EAX:] == (1_999_999, 1_000_000, 0, 0)


def test_without_a_known_tsc_rate_there_is_no_timing_leaf() -> None:
    table = build(tsc_khz=0)
    assert table[0x40000000, 0][EAX] == 0x40000001
    assert (0x40000010, 0) not in table


def test_vendor_is_written_in_the_order_ebx_edx_ecx() -> None:
    row = build("host,vendor=GenuineIntel")[0, 0]
    assert row[EBX].to_bytes(4, "little") + row[EDX].to_bytes(4, "little") == b"GenuineI"
    assert row[ECX].to_bytes(4, "little") == b"ntel"
    assert build("host,vendor=GenuineIntel")[0x80000000, 0][EBX:] == row[EBX:]


def test_amd_repeats_leaf_1_in_the_extended_leaf_and_intel_does_not() -> None:
    fpu_apic = 1 << 0 | 1 << 9
    assert build()[0x80000001, 0][EDX] & fpu_apic == fpu_apic
    assert build(vendor="GenuineIntel")[0x80000001, 0][EDX] & fpu_apic == 0


def test_an_unknown_feature_is_refused_with_the_nearest_name() -> None:
    assert problems("host,+avx22") == (
        "--cpu +avx22: there is no CPU feature avx22; did you mean avx2?",
    )


def test_a_feature_unlike_any_other_is_refused_with_a_place_to_look() -> None:
    assert "/proc/cpuinfo" in problems("host,-zzzzzz")[0]


def test_a_feature_that_kvm_lacks_cannot_be_added() -> None:
    (problem,) = problems("host,+rdrand")
    assert problem.startswith("--cpu +rdrand: KVM on this host does not offer it")


def test_all_faults_are_told_at_once() -> None:
    assert len(problems("host,+rdrand,-avxx,+qqqqq")) == 3


def test_a_missing_feature_may_be_removed() -> None:
    assert build("host,-rdrand") == build("host")


def test_features_may_be_spelt_with_dots_and_dashes() -> None:
    assert build("host,-tsc-deadline-timer")[1, 0][ECX] >> 24 & 1 == 0


def test_removing_a_feature_removes_all_that_need_it_and_their_state() -> None:
    table = build("host,-avx")
    assert table[1, 0][ECX] >> 28 & 1 == 0
    assert table[1, 0][ECX] >> 12 & 1 == 0, "fma needs avx"
    assert (7, 0) not in table, "avx2 and avx512f were its only features"
    assert table[0xD, 0][EAX] == 0x3
    assert table[0xD, 0][ECX] == 0x240
    assert not any((0xD, bit) in table for bit in (2, 5, 6, 7))


def test_without_xsave_there_is_no_state_leaf() -> None:
    assert not any(function == 0xD for function, _ in build("host,-xsave"))


def test_removing_avx512_shrinks_the_state_area() -> None:
    main = build("host,-avx512f")[0xD, 0]
    assert (main[EAX], main[ECX]) == (0x7, 0x340)


def test_adding_a_feature_without_the_one_it_needs_is_refused() -> None:
    assert problems("none,+avx") == ("--cpu +avx needs xsave; add +xsave",)


def test_a_group_is_removed_with_all_its_bits() -> None:
    assert build("host,-kvmclock")[0x40000001, 0][EAX] == 0x01007EFB & ~(1 << 0 | 1 << 3 | 1 << 24)


def test_none_shows_only_the_baseline_and_what_was_added() -> None:
    table = build("none,+pni")
    shown = {
        name
        for name, (function, index, register, bit) in features.table().items()
        if table.get((function, index), (0,) * 7)[register] >> bit & 1
        and not name.startswith("kvm_")
    }
    assert shown == {
        *("fpu", "apic", "fxsr", "sse", "sse2", "tsc", "pni", "nx", "lm"),
        *("x2apic", "hypervisor", "tsc_deadline_timer"),
    }


def test_none_keeps_the_kvm_leaves() -> None:
    assert build("none")[0x40000001, 0] == build("host")[0x40000001, 0]


# --- topology -------------------------------------------------------------------------------------

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
