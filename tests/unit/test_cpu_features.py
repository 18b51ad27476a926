"""CPU features by name, and what --cpu makes of them."""

from __future__ import annotations

import pytest

from tests.cpuidkit import build
from vmm.errors import ConfigError
from vmm.kvm import features
from vmm.kvm.features import EAX, EBX, ECX, EDX


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
