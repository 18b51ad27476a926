"""What a guest may write to EFER while KVM hands its writes over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vmm.xen.efer import CR0_PG, FFXSR, LMA, LME, NXE, SCE, SVME, guest_may_write

NX_BIT, LM_BIT, SVM_BIT = 1 << 20, 1 << 29, 1 << 2


def vcpu(edx: int = NX_BIT | LM_BIT, ecx: int = 0, efer: int = 0, paging: int = 0) -> Any:
    return SimpleNamespace(
        get_cpuid2=lambda: {0x80000001: (0, 0, ecx, edx)},
        get_sregs=lambda: SimpleNamespace(efer=efer, cr0=CR0_PG if paging else 0),
    )


@pytest.mark.parametrize(
    ("value", "shown", "good"),
    [
        (0, {}, True),
        (SCE | LME | NXE, {}, True),
        (LME | LMA, {}, True),  # LMA is the processor's, and ignored
        (NXE, {"edx": LM_BIT}, False),
        (LME, {"edx": NX_BIT}, False),
        (SVME, {}, False),
        (SVME, {"ecx": SVM_BIT}, True),
        (FFXSR, {}, False),
        (1 << 1, {}, False),
        (1 << 63, {}, False),
    ],
)
def test_bits_come_with_their_features(value: int, shown: dict[str, int], good: bool) -> None:
    assert guest_may_write(vcpu(**shown), value) is good


def test_long_mode_stays_as_it_is_while_pages_are_on() -> None:
    running = vcpu(efer=LME | LMA, paging=1)

    assert not guest_may_write(running, SCE)
    assert guest_may_write(running, SCE | LME)
    assert not guest_may_write(vcpu(paging=1), LME)
