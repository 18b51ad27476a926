"""A stock kernel that lives on our 8259 pair alone: every interrupt goes in by KVM_INTERRUPT."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.linux.stock import boot

pytestmark = pytest.mark.needs("kvm", "stock-kernel")

SCRIPT = "\n".join(
    (
        "echo timer=`grep -c 'XT-PIC.*timer' /proc/interrupts`",
        "echo local=`grep LOC: /proc/interrupts | tr -dc 0-9`",
        "echo errors=`grep ERR: /proc/interrupts | tr -dc 0-9`",
        "echo spurious=`dmesg | grep -c 'spurious 8259A'`",
    )
)


def test_stock_kernel_without_any_apic_boots_and_powers_off(tmp_path: Path) -> None:
    options = ["--irqchip", "split", "--machine", "legacy", "--mem", "256M"]

    run = boot(tmp_path, options, script=SCRIPT, append="quiet nolapic noapic")

    assert run.code == 0, run.console[-3000:] + run.stderr
    answers = run.answers()
    assert (answers["timer"], answers["local"]) == ("1", "0")
    assert (answers["errors"], answers["spurious"]) == ("0", "0")
    (vcpu,) = run.report["counters"]["vcpus"]
    assert vcpu["injected"] > 100
    assert vcpu["reasons"]["IRQ_WINDOW_OPEN"] > 0
