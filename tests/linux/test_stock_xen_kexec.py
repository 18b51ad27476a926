"""A stock kernel that starts another one in the same Xen domain: kexec, which is a soft reset."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.linux.stock import boot
from vmm.lab import initramfs
from vmm.lab.guest import build_initramfs, guest_kernel

pytestmark = pytest.mark.needs("kvm", "stock-kernel", "xen")

SOURCE = Path(__file__).parent / "c" / "kexec.c"
SECOND = "\n".join(
    (
        "echo life=`sed 's/.*life=//' /proc/cmdline`",
        "echo clock=`cat /sys/devices/system/clocksource/clocksource0/current_clocksource`",
        "echo timer=`cat /sys/devices/system/clockevents/clockevent0/current_device`",
        "echo cpus=`grep -c ^processor /proc/cpuinfo`",
        "echo store=`ls /sys/bus/xen/devices`",
        "grep HYP: /proc/interrupts",
        "dmesg -r | grep '^<[0-3]>'",
    )
)
COMMAND_LINE = 'console=ttyS0 loglevel=4 vmm.cmd=\\"/bin/sh /script\\" life=second'
FIRST = f'/kexec /kernel /second "{COMMAND_LINE}"; echo kexec ended with $?'


@pytest.mark.parametrize(
    "options",
    [
        ("--xen-backend", "kvm"),
        ("--xen-backend", "userspace", "--kaslr"),
        ("--xen-backend", "userspace", "--kaslr", "--xen-calls", "breakpoint"),
    ],
)
def test_another_kernel_runs_in_the_same_domain(options: tuple[str, ...], tmp_path: Path) -> None:
    loader = tmp_path / "kexec"
    subprocess.run(["gcc", "-static", "-O2", "-o", str(loader), str(SOURCE)], check=True)
    second = build_initramfs((initramfs.file("script", SECOND.encode(), 0o755),))
    members = (
        initramfs.file("kexec", loader.read_bytes(), 0o755),
        initramfs.file("kernel", guest_kernel().read_bytes()),
        initramfs.file("second", second),
    )

    run = boot(
        tmp_path,
        ("--xen", "--cpus", "2", "--mem", "768M", *options),
        script=FIRST,
        append="loglevel=4",
        members=members,
    )

    answers, counters = run.answers(), run.report["counters"]["devices"]["xen"]
    assert run.code == 0, run.console[-3000:] + run.stderr
    assert "kexec ended" not in run.console
    assert answers["life"] == "second"
    assert (answers["clock"], answers["timer"], answers["cpus"]) == ("xen", "xen", "2")
    told = re.search(r"HYP: +(.*?) +Hypervisor callback", run.console)
    assert told is not None
    assert min(int(word) for word in told.group(1).split()) > 50
    assert counters["sched_op shutdown"] == 1
    assert [line for line in run.console.splitlines() if re.match(r"<[0-3]>", line)] == []
