"""Hyper-V's leaves as --hyperv shows them, beside whose they are."""

from __future__ import annotations

from struct import pack
from types import SimpleNamespace
from typing import Any

import pytest

from vmm.config import VmConfig
from vmm.errors import HostError
from vmm.guestcpuid import GuestCpuid
from vmm.kvm import hyperv

OFFERED = [
    (0x40000000, 0, 0, 0x40000082, 0x756E694C, 0x564B2078, 0x7648204D),
    (0x40000001, 0, 0, 0x31237648, 0, 0, 0),
    (0x40000003, 0, 0, 0xAAFF, 0x100830, 0, 0x84D12),
    (0x40000004, 0, 0, 0x40E2C, 0xFFF, 0, 0),
    (0x40000082, 0, 0, 2, 0, 0, 0),
]


def test_only_what_needs_no_setting_up_is_shown() -> None:
    shown = {entry[0]: entry[3:] for entry in hyperv.leaves(OFFERED)}

    assert list(shown) == [0x40000000, 0x40000001, 0x40000003, 0x40000004]
    assert shown[0x40000000][0] == 0x40000005
    assert pack("<3I", *shown[0x40000000][1:]) == b"Microsoft Hv"
    assert shown[0x40000003] == (0xA73, 0, 0, 0x100)
    assert shown[0x40000004] == (0x20, 0xFFFFFFFF, 0, 0)


def test_others_stand_higher() -> None:
    table = [
        (1, 0, 0, 7, 7, 7, 7),
        (0x40000000, 0, 0, 0x40000010, 1, 2, 3),
        (0x40000010, 0, 0, 4, 5, 0, 0),
        (0x80000000, 0, 0, 8, 8, 8, 8),
    ]
    beside = hyperv.beside(table, OFFERED[:1])

    assert beside == [
        table[0],
        (0x40000100, 0, 0, 0x40000110, 1, 2, 3),
        (0x40000110, 0, 0, 4, 5, 0, 0),
        table[3],
        OFFERED[0],
    ]


def test_kvm_without_hyperv_is_told_of() -> None:
    system: Any = SimpleNamespace(
        supported_cpuid=lambda: [(0, 0, 0, 1, 0, 0, 0), (1, 0, 0, 0, 0, 0, 0)]
    )
    config = VmConfig.of(kernel="k", hyperv=True)

    with pytest.raises(HostError, match=r"lacks KVM_CAP_SYS_HYPERV_CPUID.*CONFIG_KVM_HYPERV"):
        GuestCpuid(system, config, {"KVM_CAP_SYS_HYPERV_CPUID": 0}, 0, None)
