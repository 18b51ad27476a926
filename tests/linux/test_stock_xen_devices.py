"""A stock Debian kernel as a Xen HVM guest with virtio devices that move and are busy."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from tests.linux.images import MIB
from tests.linux.stock import boot

pytestmark = pytest.mark.needs("kvm", "stock-kernel", "xen")

MODULES = ("virtio_pci", "virtio_blk", "virtio_rng")
ROUNDS = 10
# Whoever reads configuration space takes the lock that a rescan writes base addresses under.
SCRIPT = f"""
PATH=/bin; /bin/busybox --install -s /bin
cpus=`grep -c ^processor /proc/cpuinfo`
rng=`readlink -f /sys/class/misc/hw_random/device 2>/dev/null`
for link in /sys/bus/virtio/drivers/virtio_rng/virtio*; do rng=`readlink -f $link/..`; done
echo rng=$rng
for n in `seq $cpus`; do
    while [ ! -e /tmp/enough ]; do cat /sys/bus/pci/devices/*/config >/dev/null; done &
done
while [ ! -e /tmp/enough ]; do echo disk=`sha256sum </dev/vda | cut -c1-64`; sync
    echo 3 >/proc/sys/vm/drop_caches; done &
for n in `seq {ROUNDS}`; do
    echo 1 >$rng/remove; echo 1 >/sys/bus/pci/rescan
done
echo moved=$n
touch /tmp/enough; wait
dd if=/dev/hwrng of=/tmp/drawn bs=1k count=1 2>/dev/null; echo drawn=`wc -c </tmp/drawn`
dmesg -r | grep '^<[0-3]>'
"""


def test_devices_move_while_processors_wait_for_a_lock(tmp_path: Path) -> None:
    disk, data = tmp_path / "disk.img", random.Random("moves").randbytes(MIB)
    disk.write_bytes(data)
    options = ("--xen", "--cpus", "4", "--disk", str(disk), "--rng")

    run = boot(tmp_path, options, script=SCRIPT, append="quiet", modules=MODULES)

    answers = run.answers()
    assert run.code == 0, run.console[-3000:] + run.stderr
    assert answers["moved"] == str(ROUNDS)
    assert answers["disk"] == hashlib.sha256(data).hexdigest()
    assert answers["drawn"] == "1024"
    assert [line for line in run.console.splitlines() if line.startswith("<")] == []
    assert run.report["counters"]["coalesced"]["writes"] > 0


READ = """
PATH=/bin; /bin/busybox --install -s /bin
echo disk=`sha256sum </dev/vda | cut -c1-64`
grep virtio /proc/interrupts
dmesg -r | grep '^<[0-3]>'
"""


@pytest.mark.parametrize(
    ("append", "chip"), [("", "PCI-MSIX"), ("pci=nomsi", "IO-APIC")], ids=["msix", "intx"]
)
def test_disk_interrupts_as_the_kernel_wants_it(append: str, chip: str, tmp_path: Path) -> None:
    disk, data = tmp_path / "disk.img", random.Random(chip).randbytes(MIB)
    disk.write_bytes(data)
    options = ("--xen", "--cpus", "2", "--disk", str(disk))

    run = boot(tmp_path, options, script=READ, append=f"quiet {append}", modules=MODULES)

    assert run.code == 0, run.console[-3000:] + run.stderr
    assert run.answers()["disk"] == hashlib.sha256(data).hexdigest()
    lines = [line for line in run.console.splitlines() if "virtio" in line and ":" in line]
    assert lines
    assert all(chip in line for line in lines if line.strip()[0].isdigit())
    assert [line for line in run.console.splitlines() if line.startswith("<")] == []
