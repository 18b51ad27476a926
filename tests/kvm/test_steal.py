"""Stolen time as the guest sees it, against the host scheduler's own account of the threads."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests import guests
from tests.virtiopci import wait_for
from vmm.config import VmConfig
from vmm.machine import Machine

NAMES = ("steal", "xen-steal", "xen-steal-userspace")
ROWS = [guests.load()[0][name] for name in NAMES]
CASES = [pytest.param(r, id=r.name, marks=pytest.mark.needs("kvm", *r.needs)) for r in ROWS]
BUSY = 300  # ms of work for each vCPU, all of them on one processor
TASKS = Path("/proc/self/task")


def vcpu_threads() -> list[int]:
    """Thread numbers in the order of the vCPUs."""
    names = {int(task.name): (task / "comm").read_text().strip() for task in TASKS.iterdir()}
    found = [tid for tid, name in names.items() if re.fullmatch(r"vcpu\d+", name)]
    return sorted(found, key=lambda tid: names[tid])


def waited(tid: int) -> int:
    """Nanoseconds that the thread was ready to run, and did not."""
    return int((TASKS / str(tid) / "schedstat").read_text().split()[1])


@pytest.mark.parametrize("row", CASES)
def test_stolen_time_is_what_the_host_kept_from_the_vcpus(
    row: guests.Guest, tmp_path: Path
) -> None:
    guests.build()
    output = tmp_path / "console"
    settings = row.settings("kernel", tmp_path)
    settings["append"] += f" busy={BUSY} wait"

    with Machine(VmConfig.of(consoles=[f"file:{output}"], **settings)) as machine:
        machine.start()
        wait_for(lambda: len(vcpu_threads()) == row.cpus, "threads of vCPUs")
        threads = vcpu_threads()
        for tid in threads:
            os.sched_setaffinity(tid, {min(os.sched_getaffinity(0))})
        wait_for(lambda: "# told" in output.read_text(errors="replace"), "the guest's figures")
        kept = [waited(tid) for tid in threads]
        machine.stop()
        machine.wait(60)

    text = output.read_text(errors="replace")
    stolen = {int(cpu): int(ns) for cpu, ns in re.findall(r"# steal (\d) (\d+)", text)}
    assert "not ok" not in text
    assert sorted(stolen) == list(range(row.cpus))
    for cpu, host in enumerate(kept):
        assert host / 2 <= stolen[cpu] <= host
