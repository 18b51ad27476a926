"""A stock Debian kernel boots, finds what it was given, complains of nothing and powers off.

Pairwise over the ways to build the machine; with VMM_TESTS=all every combination.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.linux.stock import boot
from tests.pairwise import Row, every, pairwise
from vmm.lab.guest import guest_kernel, guest_vmlinux

pytestmark = pytest.mark.needs("kvm", "stock-kernel")

FACTORS = {
    "cpus": (1, 4),
    "mem": ("256M", "6G"),
    "image": ("bzImage", "bzImage-kaslr", "vmlinux-pvh", "bzImage-linux"),
    "irqchip": ("kernel", "split"),
    "machine": ("default", "legacy"),
}
IMAGES = {
    "bzImage": (),
    "bzImage-kaslr": ("--kaslr",),
    "bzImage-linux": ("--boot-protocol", "linux"),
    "vmlinux-pvh": ("--boot-protocol", "pvh"),
}
SCRIPT = "\n".join(
    (
        "echo cpus=`grep -c ^processor /proc/cpuinfo`",
        "echo mem=`grep MemTotal /proc/meminfo | tr -dc 0-9`",
        "echo clock=`cat /sys/devices/system/clocksource/clocksource0/current_clocksource`",
        "dmesg | grep 'ACPI.*Error'",
        "echo uart=`grep -c ttyS0 /proc/interrupts`",
        "dmesg -r | grep '^<[0-3]>'",
    )
)


def complaints(console: str) -> list[str]:
    """Errors of the kernel's log, and of ACPI at any level."""
    return [
        line for line in console.splitlines() if re.match(r"<[0-3]>|\[[ .\d]+\] ACPI.*Error", line)
    ]


def rows() -> list[Row]:
    return every(FACTORS) if os.environ.get("VMM_TESTS") == "all" else pairwise(FACTORS)


@pytest.mark.parametrize("row", rows(), ids=lambda row: "-".join(str(v) for v in row.values()))
def test_stock_kernel_boots(row: Row, tmp_path: Path) -> None:
    image = str(row["image"])
    kernel = guest_vmlinux() if image.startswith("vmlinux") else guest_kernel()
    options = [*IMAGES[image], "--cpus", str(row["cpus"]), "--mem", str(row["mem"])]
    options += ["--irqchip", str(row["irqchip"]), "--machine", str(row["machine"])]

    run = boot(tmp_path, options, script=SCRIPT, append="quiet", kernel=kernel)

    answers = run.answers()
    assert run.code == 0, run.console[-3000:] + run.stderr
    assert run.report["cause"] == "power-off"
    assert answers["cpus"] == str(row["cpus"])
    size = 256 << 10 if row["mem"] == "256M" else 6 << 20
    assert size * 0.6 < int(answers["mem"]) <= size
    assert answers["clock"] == "kvm-clock"
    assert complaints(run.console) == []
    assert run.report["counters"]["upcalls"]["count"] <= 32
