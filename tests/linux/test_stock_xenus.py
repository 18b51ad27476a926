"""A stock Debian kernel as a Xen HVM guest of a KVM that knows nothing of Xen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.linux.stock import Boot, boot
from tests.linux.test_stock_xen import SCRIPT

pytestmark = pytest.mark.needs("kvm", "stock-kernel")


def upcalls(run: Boot) -> list[int]:
    """How often each vCPU was told of events."""
    told = re.search(r"HYP: +(.*?) +Hypervisor callback", run.console)
    assert told is not None, run.console[-3000:]
    return [int(word) for word in told.group(1).split()]


@pytest.mark.parametrize(
    ("cpus", "options", "found_by"),
    [
        (1, (), "image"),
        (1, ("--kaslr",), "MSR"),
        (2, (), "image"),
        (2, ("--kaslr", "--irqchip", "split"), "MSR"),
    ],
)
def test_stock_kernel_runs_without_kvm_xen(
    cpus: int, options: tuple[str, ...], found_by: str, tmp_path: Path
) -> None:
    shape = ["--xen", "--xen-backend", "userspace", "--cpus", str(cpus), *options]

    run = boot(tmp_path, shape, script=SCRIPT, append="loglevel=4")

    answers, counters = run.answers(), run.report["counters"]["devices"]["xen"]
    assert run.code == 0, run.console[-3000:] + run.stderr
    assert run.report["cause"] == "power-off"
    assert "Hypervisor detected: Xen HVM" in run.console
    assert answers["clock"] == answers["timer"] == "xen"
    assert answers["cpus"] == str(cpus)
    assert answers["features"] == "00000307"
    told = upcalls(run)
    assert len(told) == cpus
    assert min(told) > 100
    assert [line for line in run.console.splitlines() if re.match(r"<[0-3]>", line)] == []
    assert "event_channel_op send" not in counters
    assert cpus == 1 or counters["send"] > 0
    assert counters["set_timer"] > 100
    assert counters["found by " + found_by] == 1
