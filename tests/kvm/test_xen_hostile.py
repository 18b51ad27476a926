"""A Xen guest that means harm, on both back-ends: it gets Xen's errors, and the machine lives."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import guests
from tests.native import sanitized
from vmm.config import VmConfig
from vmm.machine import Machine
from vmm.xen import abi

ROWS = [row for row in guests.load()[0].values() if row.image == "xenhostile.elf"]
CASES = [
    pytest.param(row, chip, id=f"{row.name}-{chip}", marks=pytest.mark.needs("kvm", *row.needs))
    for row in ROWS
    for chip in row.irqchips
]
LEAST = 30  # named cases
ERRORS = {
    abi.EPERM, abi.ENOENT, abi.ESRCH, abi.ENXIO, abi.ENOMEM, abi.EACCES, abi.EFAULT, abi.EEXIST,
    abi.EINVAL, abi.ENOSPC, abi.ENOSYS, abi.ETIME, abi.EOPNOTSUPP,
}  # fmt: skip


@pytest.mark.parametrize(("row", "irqchip"), CASES)
def test_hostile_guest_gets_errors_and_goes_on(
    row: guests.Guest, irqchip: str, tmp_path: Path
) -> None:
    guests.build()
    output = tmp_path / "console"
    settings = row.settings(irqchip, tmp_path)
    assert len(row.tests) > LEAST

    with Machine(VmConfig.of(consoles=[f"file:{output}", "xen:null"], **settings)) as machine:
        code = machine.run().code
        assert machine.hardware.xen is not None
        counters = machine.hardware.xen.counters()

    assert not row.complaints(output.read_text(errors="replace"), code)
    refused = [name for name in counters if name.startswith("refused ")]
    assert {int(name.split()[-1]) for name in refused} <= ERRORS
    assert "refused memory_op add_to_physmap 14" in refused
    assert "refused hvm_op set_evtchn_upcall_vector 22" in refused


@pytest.mark.needs("kvm", "probe-long64:interrupt")
def test_hostile_guests_leave_the_sanitizers_silent(tmp_path: Path) -> None:
    """Without KVM's help, where most of the core is reached."""
    this = f"{__file__}::{test_hostile_guest_gets_errors_and_goes_on.__name__}"
    tests = (this, "tests/kvm/test_xen_disk.py", "tests/kvm/test_xen_rings.py")

    assert not sanitized.complaints(tmp_path, *tests, "-k", "userspace", "--where", "host")
