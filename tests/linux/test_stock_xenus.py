"""A stock Debian kernel as a Xen HVM guest of a KVM that knows nothing of Xen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.linux.running import running
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
        (1, ("--kaslr", "--xen-calls", "breakpoint"), "breakpoint"),
        (2, ("--kaslr", "--xen-calls", "breakpoint"), "breakpoint"),
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


OFF_AND_ON = "\n".join(
    (
        "echo 0 > /sys/devices/system/cpu/cpu1/online",
        "echo 1 > /sys/devices/system/cpu/cpu1/online",
        "told() { awk '/HYP:/ { print $3 }' /proc/interrupts; }",
        "before=`told`",
        "sleep 1",
        "echo more=$((`told` - before))",
        "echo cpus=`grep -c ^processor /proc/cpuinfo`",
        "echo clock=`cat /sys/devices/system/clocksource/clocksource0/current_clocksource`",
        "dmesg -r | grep '^<[0-3]>'",
    )
)


@pytest.mark.parametrize("calls", ["patch", "breakpoint"])
def test_vcpu_that_comes_back_has_its_clock(calls: str, tmp_path: Path) -> None:
    """INIT takes it away; a vCPU whose clock stands at 0 has its timer go off without end."""
    shape = ["--xen", "--xen-backend", "userspace", "--xen-calls", calls, "--cpus", "2"]

    run = boot(tmp_path, [*shape, "--kaslr"], script=OFF_AND_ON, append="loglevel=4")

    answers = run.answers()
    assert run.code == 0, run.console[-3000:] + run.stderr
    assert answers["cpus"] == "2"
    assert answers["clock"] == "xen"
    assert 0 <= int(answers["more"]) < 2000
    assert [line for line in run.console.splitlines() if re.match(r"<[0-3]>", line)] == []


def test_a_reboot_finds_the_next_kernel(tmp_path: Path) -> None:
    options = ("--cpus", "2", "--xen", "--xen-backend", "userspace", "--kaslr")
    with running(tmp_path, "/bin/busybox reboot -f", options) as guest:
        guest.reboots_and_ends()


WIRE = "\n".join(
    (
        "grep xen-platform-pci /proc/interrupts | awk '{ print \"told=\" $2 }'",
        "echo left=`grep -c HYP: /proc/interrupts`",
        "echo store=`ls /sys/bus/xen/devices | grep -c console`",
        "dmesg | grep -i 'hypervisor detected'",
        "dmesg -r | grep '^<[0-3]>'",
    )
)


def test_stock_kernel_is_told_by_a_wire(tmp_path: Path) -> None:
    """Xen before 4.17 has no vectors of the vCPUs' own, and one for all cannot be kept here."""
    shape = ["--xen", "--xen-backend", "userspace", "--xen-version", "4.16"]

    run = boot(tmp_path, shape, script=WIRE, append="loglevel=4")

    answers = run.answers()
    assert run.code == 0, run.console[-3000:] + run.stderr
    assert int(answers["told"]) > 10
    assert [line for line in run.console.splitlines() if re.match(r"<[0-3]>", line)] == []
    assert run.report["counters"]["devices"]["xen"]["asserted"] > 10
