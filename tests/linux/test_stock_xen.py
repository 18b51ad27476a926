"""A stock Debian kernel finds itself a Xen HVM guest and runs on Xen's clock, timer and events."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.linux.running import running
from tests.linux.stock import boot

pytestmark = pytest.mark.needs("kvm", "stock-kernel", "xen")

SCRIPT = "\n".join(
    (
        "dmesg | grep -i -e xen -e 'Hypervisor detected'",
        "echo type=`cat /sys/hypervisor/type`",
        "echo version=`cat /sys/hypervisor/version/major`.`cat /sys/hypervisor/version/minor`",
        "echo features=`cat /sys/hypervisor/properties/features`",
        "echo caps=`cat /sys/hypervisor/properties/capabilities`",
        "echo pagesize=`cat /sys/hypervisor/properties/pagesize`",
        "echo clock=`cat /sys/devices/system/clocksource/clocksource0/current_clocksource`",
        "echo timer=`cat /sys/devices/system/clockevents/clockevent0/current_device`",
        "echo cpus=`grep -c ^processor /proc/cpuinfo`",
        "grep -e HYP: -e xen-percpu /proc/interrupts",
        "dmesg -r | grep '^<[0-3]>'",
    )
)


@pytest.mark.parametrize(
    ("cpus", "irqchip", "more"),
    [(1, "kernel", ()), (2, "kernel", ("--hyperv",)), (2, "split", ()), (4, "kernel", ())],
)
def test_stock_kernel_is_a_xen_guest(
    cpus: int, irqchip: str, more: tuple[str, ...], tmp_path: Path
) -> None:
    options = ["--xen", "--cpus", str(cpus), "--irqchip", irqchip, *more]

    run = boot(tmp_path, options, script=SCRIPT, append="loglevel=4")

    answers, counters = run.answers(), run.report["counters"]["devices"]["xen"]
    assert run.code == 0, run.console[-3000:] + run.stderr
    assert run.report["cause"] == "power-off"
    assert "Hypervisor detected: Xen HVM" in run.console
    assert "Booting paravirtualized kernel on Xen HVM" in run.console
    assert answers["type"] == "xen"
    assert answers["version"] == "4.17"
    assert answers["features"] == "00000307"
    assert answers["caps"] == "hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64"
    assert answers["clock"] == answers["timer"] == "xen"
    assert answers["cpus"] == str(cpus)
    told = re.search(r"HYP: +(.*?) +Hypervisor callback", run.console)
    assert told is not None
    upcalls = [int(word) for word in told.group(1).split()]
    assert len(upcalls) == cpus
    assert min(upcalls) > 100
    assert [line for line in run.console.splitlines() if re.match(r"<[0-3]>", line)] == []
    # Sends and timers stay in the kernel.
    assert "event_channel_op send" not in counters
    calls = [n for name, n in counters.items() if " " in name and "refused" not in name]
    assert sum(calls) < 50 * (cpus + 2)


def test_a_reboot_restarts_the_domain(tmp_path: Path) -> None:
    with running(tmp_path, "/bin/busybox reboot -f", ("--cpus", "2", "--xen")) as guest:
        guest.reboots_and_ends()
