"""A stock Debian kernel chooses between a virtio device and its PV twin by `xen_emul_unplug=`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.linux.images import MIB
from tests.linux.stock import boot
from tests.linux.test_stock_boot import complaints

pytestmark = pytest.mark.needs("kvm", "stock-kernel", "root", "tap", "xen")

MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "xen_blkfront", "xen_netfront")
MAC = "52:54:00:12:34:56"
# The first life writes a mark and may reboot; the second one finds it.
SCRIPT = """
PATH=/bin; busybox --install -s /bin
for disk in vda xvda; do [ -e /dev/$disk ] && disks="$disks$disk "; done
disk=${disks%% *}
if [ "`dd if=/dev/$disk bs=4 count=1 skip=256 2>/dev/null`" = mark ]; then life=2; else life=1; fi
echo disks$life=$disks
echo pci$life=`cat /sys/bus/pci/devices/*/vendor | grep -c 0x1af4`
echo card$life=`basename $(readlink -f /sys/class/net/eth0/device/subsystem)`
echo cards$life=`ls -d /sys/class/net/eth* | wc -l`
echo mac$life=`cat /sys/class/net/eth0/address`
echo sum$life=`sha256sum </dev/$disk | cut -c1-64`
dmesg -r | grep '^<[0-3]>'
if [ $life = 1 ]; then
    printf mark | dd of=/dev/$disk bs=4 seek=256 conv=notrunc,fsync 2>/dev/null
    [ $lives = 1 ] || reboot -f
fi
"""


@pytest.mark.parametrize(
    ("append", "backend", "disk", "card", "left", "lives"),
    [
        ("", "kvm", "xvda", "xen", 0, 2),
        ("xen_emul_unplug=never", "kvm", "vda", "virtio", 2, 1),
        ("xen_emul_unplug=nics", "userspace", "vda", "xen", 1, 1),
    ],
)
def test_guest_has_what_it_asks_for_and_nothing_twice(
    tmp_path: Path, append: str, backend: str, disk: str, card: str, left: int, lives: int
) -> None:
    image, data = tmp_path / "disk", hashlib.shake_256(b"disk").digest(4 * MIB)
    image.write_bytes(data)
    options = (
        *("--xen", "--xen-backend", backend, "--cpus", "2"),
        *("--disk", f"{image},bus=both,id=root", "--net", f"tap,bus=both,mac={MAC},vhost=off"),
    )

    script = f"lives={lives}\n{SCRIPT}"
    done = boot(tmp_path, options, script=script, append=f"quiet {append}", modules=MODULES)

    answers = done.answers()
    assert done.code == 0, done.console[-3000:] + done.stderr
    after = data[:1024] + b"mark" + data[1028:]
    assert image.read_bytes() == after
    for life, content in (("1", data), ("2", after))[:lives]:
        assert answers["disks" + life].split() == [disk]
        assert answers["pci" + life] == str(left)
        assert (answers["card" + life], answers["cards" + life]) == (card, "1")
        assert answers["mac" + life] == MAC
        assert answers["sum" + life] == hashlib.sha256(content).hexdigest()
    assert complaints(done.console) == []
    counted = json.dumps(done.report["counters"]["devices"])
    assert ("root_requests" in counted) == (disk == "xvda")
