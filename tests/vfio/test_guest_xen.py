"""Functions of the host in a stock guest that takes their interrupts as event channels."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vfio.guest import COMPLAINTS, stock_guest
from tests.vfio.host import drive, load, vmm
from tests.vfio.lab import STORE
from vmm.errors import EXIT_OK
from vmm.stats import difference

pytestmark = pytest.mark.needs("kvm", "stock-kernel", "vfio", "root", "xen")

# What is written is read again; then single reads, between two lines that give the host time to
# look.
SCRIPT = """
irqs() { grep nvme0q1 /proc/interrupts | sed "s/^/irq /;s/nvme0q1/$1/"; }
dd if=/dev/urandom of=/noise bs=1M count=8 2>/dev/null
dd if=/noise of=/dev/nvme0n1 bs=1M oflag=direct 2>/dev/null
echo written=`sha256sum </noise`
dd if=/dev/nvme0n1 of=/back bs=1M count=8 iflag=direct 2>/dev/null
echo read=`sha256sum </back`
grep nvme0q1 /proc/interrupts | sed 's/^/chip /'
irqs before; echo begin; sleep 1
dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1000 iflag=direct 2>/dev/null
sleep 1; irqs after; echo end; sleep 1
"""


def test_disk_tells_by_event_channels_without_code_of_ours(tmp_path: Path) -> None:
    load("nvme")
    drive(STORE, "nvme")
    assert vmm("bind", STORE).returncode == EXIT_OK
    with stock_guest(
        tmp_path, SCRIPT + COMPLAINTS, ["nvme"], devices=[f"vfio,host={STORE},id=store"],
        xen=True, xen_backend="kvm", xen_pirqs="all",
    ) as guest:  # fmt: skip
        guest.wait_for("begin")
        first, before = guest.machine.stats(), guest.machine.stats()
        guest.wait_for("\nend\n")
        after = guest.machine.stats()
    assert guest.words["read"] == guest.words["written"]
    chip = next(line for line in guest.text().splitlines() if line.startswith("chip "))
    assert "xen-pirq" in chip
    assert "-msi-x" in chip
    fired = guest.interrupts("")
    assert fired["after"] - fired["before"] >= 1000
    passed = difference(after, before)
    ours = passed["devices"]["store"]
    assert not any(ours[name] for name in ours if name not in ("intx", "msi", "msix"))
    calls = passed["devices"]["xen"]
    assert not [name for name in calls if "physdev" in name and calls[name]]
    looking = difference(before, first)["upcalls"]["count"]
    assert passed["upcalls"]["count"] <= looking
    assert sum(vcpu["exits"] for vcpu in passed["vcpus"]) < 300
    assert guest.counters("store")["msix_failures"] == 0
    assert "complaint" not in guest.text()
    assert vmm("restore").returncode == EXIT_OK
