"""Debian's 6.1 kernel as a Xen HVM guest, and its 6.12 one where KVM does not help: what both use.

Each boot looks at all of it: the clock, upcalls on every vCPU, the PV console and a PV disk.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from tests.linux.images import MIB
from tests.linux.stock import boot
from vmm.lab.kernel import Kernel, kernel, older_kernel

pytestmark = pytest.mark.needs("kvm", "stock-kernel", "xen", "older-kernel")

SIZE = 4  # MiB
SCRIPT = "\n".join(
    (
        "PATH=/bin; busybox --install -s /bin",
        "echo release=`uname -r`",
        "echo type=`cat /sys/hypervisor/type`",
        "echo clock=`cat /sys/devices/system/clocksource/clocksource0/current_clocksource`",
        "echo timer=`cat /sys/devices/system/clockevents/clockevent0/current_device`",
        "echo cpus=`grep -c ^processor /proc/cpuinfo`",
        "sum() { sha256sum | cut -c1-64; }",
        "echo read=`sum </dev/xvda`",
        "dd if=/dev/urandom of=/tmp/bulk bs=1M count=1 2>/dev/null",
        "echo written=`sum </tmp/bulk`",
        "dd if=/tmp/bulk of=/dev/xvda bs=1M seek=2 conv=notrunc,fsync 2>/dev/null",
        "seq 1 500 >/dev/hvc0",
        "for i in 1 2 3 4; do (for j in 1 2 3; do usleep 3000; done) & done; wait",
        "grep HYP: /proc/interrupts",
        "dmesg -r | grep '^<[0-3]>'",
    )
)
PATCH = ("--xen-backend", "userspace", "--kaslr")
BREAKPOINT = (*PATCH, "--xen-calls", "breakpoint")


def check(folder: Path, which: Kernel, cpus: int, options: tuple[str, ...]) -> dict[str, int]:
    """Boots and looks; the domain's counters."""
    disk, console = folder / "disk", folder / "hvc0"
    data = bytes(hashlib.shake_256(b"disk").digest(SIZE * MIB))
    disk.write_bytes(data)
    shape = ("--xen", "--cpus", str(cpus), "--disk", f"{disk},bus=xen", *options)
    consoles = ("--console", "stdio", "--console", f"xen:file:{console}")

    run = boot(
        folder,
        (*shape, *consoles),
        script=SCRIPT,
        append="loglevel=4",
        kernel=which,
        modules=("xen_blkfront",),
    )

    answers, xen = run.answers(), run.report["counters"]["devices"]["xen"]
    assert run.code == 0, run.console[-3000:] + run.stderr
    assert run.report["cause"] == "power-off"
    assert answers["release"] == which.version
    assert (answers["type"], answers["clock"], answers["timer"]) == ("xen", "xen", "xen")
    assert answers["cpus"] == str(cpus)
    told = re.search(r"HYP: +(.*?) +Hypervisor callback", run.console)
    assert told is not None
    upcalls = [int(word) for word in told.group(1).split()]
    assert len(upcalls) == cpus
    assert min(upcalls) > 100
    assert answers["read"] == hashlib.sha256(data).hexdigest()
    after = disk.read_bytes()
    assert hashlib.sha256(after[2 * MIB : 3 * MIB]).hexdigest() == answers["written"]
    assert after[: 2 * MIB] + after[3 * MIB :] == data[: 2 * MIB] + data[3 * MIB :]
    assert "".join(f"{n}\r\n" for n in range(1, 501)) in console.read_bytes().decode()
    assert [line for line in run.console.splitlines() if re.match(r"<[0-3]>", line)] == []
    assert xen["xvda_broken"] == xen["console_broken"] == xen["xenstore_broken"] == 0
    return dict(xen)


def test_older_kernel_with_kvms_help(tmp_path: Path) -> None:
    counters = check(tmp_path, older_kernel(), 2, ("--xen-backend", "kvm"))

    assert "event_channel_op send" not in counters


@pytest.mark.parametrize(
    ("cpus", "options", "found_by"), [(1, PATCH, "MSR"), (2, BREAKPOINT, "breakpoint")]
)
def test_older_kernel_without_kvms_help(
    cpus: int, options: tuple[str, ...], found_by: str, tmp_path: Path
) -> None:
    counters = check(tmp_path, older_kernel(), cpus, options)

    assert counters["found by " + found_by] == 1


def test_newer_kernel_without_kvms_help(tmp_path: Path) -> None:
    counters = check(tmp_path, kernel(), 2, BREAKPOINT)

    assert counters["found by breakpoint"] == 1
