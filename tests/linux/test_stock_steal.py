"""Time stolen from a stock guest under load: what it sees, and what the host's scheduler says."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.linux.stock import TIMEOUT, initrd_with, words
from vmm.config import VmConfig
from vmm.lab.guest import guest_kernel
from vmm.machine import Machine

CPUS = 4
TICK = 10_000_000  # ns of what /proc/stat counts in
BEGIN, END = b"LOAD-BEGIN", b"LOAD-END"
SCRIPT = """for n in 1 2 3 4; do (while :; do :; done) & done
sleep 1
tell() { sum=0; while read -r cpu a b c d e f g steal rest; do
case $cpu in cpu[0-9]) sum=$((sum + steal));; esac; done </proc/stat; echo LOAD-$1 seen=$sum; }
tell BEGIN
sleep 9
tell END
sleep 1000
"""


def until(machine: Machine, mark: bytes) -> int:
    """What the guest has seen stolen at the mark, in nanoseconds."""
    deadline = time.monotonic() + TIMEOUT
    while not (found := re.search(mark + rb" seen=(\d+)\r", machine.console_tail())):
        assert time.monotonic() < deadline, machine.console_tail()[-2000:]
        time.sleep(0.01)
    return int(found[1]) * TICK


def stolen(machine: Machine) -> tuple[int, list[dict[str, Any]]]:
    times = [vcpu["times"] for vcpu in machine.stats()["vcpus"]]
    return sum(each["steal"] for each in times), times


@pytest.mark.parametrize(
    "xen",
    [
        pytest.param(False, marks=pytest.mark.needs("kvm", "stock-kernel"), id="kvm"),
        pytest.param(True, marks=pytest.mark.needs("kvm", "stock-kernel", "xen"), id="xen"),
    ],
)
def test_guest_sees_the_time_that_it_did_not_get(xen: bool, tmp_path: Path) -> None:
    config = VmConfig.of(
        kernel=str(guest_kernel()),
        initrd=str(initrd_with(tmp_path, SCRIPT)),
        append=words(SCRIPT, "quiet"),
        cpus=CPUS,
        xen=xen,
        xen_backend="kvm" if xen else "auto",
        consoles=["null"],
    )
    with Machine(config) as machine:
        machine.start()
        seen = -until(machine, BEGIN)
        before, _times = stolen(machine)
        seen += until(machine, END)
        after, times = stolen(machine)

    assert after - before > 10_000_000_000, "there was no load"
    assert seen == pytest.approx(after - before, rel=0.05)
    for each in times:
        assert min(each["running"], each["blocked"]) > 0
