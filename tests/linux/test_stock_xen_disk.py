"""A stock Debian kernel on PV disks: bytes compared by their sums, discards, a read-only one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.linux.images import MIB
from tests.linux.stock import boot
from tests.linux.test_stock_boot import complaints

pytestmark = pytest.mark.needs("kvm", "stock-kernel", "xen")

SIZE, BULK = 48, 8  # MiB
SCRIPT = "\n".join(
    (
        "PATH=/bin; busybox --install -s /bin",
        "sum() { sha256sum | cut -c1-64; }",
        "echo read=`dd if=/dev/xvda bs=1M 2>/dev/null | sum`",
        "echo direct=`dd if=/dev/xvda bs=256k iflag=direct 2>/dev/null | sum`",
        f"dd if=/dev/urandom of=/tmp/bulk bs=1M count={BULK} 2>/dev/null",
        "echo written=`sum </tmp/bulk`",
        "dd if=/tmp/bulk of=/dev/xvda bs=1M seek=8 conv=notrunc,fsync 2>/dev/null",
        "echo queues=`ls /sys/block/xvda/mq | wc -l``ls /sys/block/xvdb/mq | wc -l`",
        "echo sectors=`cat /sys/block/xvda/size` ro=`cat /sys/block/xvdb/ro`",
        "echo segments=`cat /sys/block/xvda/queue/max_segments`",
        "echo cache=`cat /sys/block/xvda/queue/write_cache`",
        "blkdiscard -o 41943040 -l 4194304 /dev/xvda && echo discarded=yes",
        "dd if=/tmp/bulk of=/dev/xvdb bs=1M count=1 2>/dev/null && echo overwritten=yes",
        "echo second=`sum </dev/xvdb`",
        "dmesg -r | grep '^<[0-3]>' | grep -v xvdb",
    )
)


def test_bytes_go_both_ways(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    data = bytes(hashlib.shake_256(b"first").digest(SIZE * MIB))
    first.write_bytes(data)
    second.write_bytes(data[: 4 * MIB])
    disks = ("--disk", f"{first},bus=xen,queues=4", "--disk", f"{second},bus=xen,ro,id=fixed")

    done = boot(
        tmp_path,
        ("--xen", "--cpus", "2", *disks),
        script=SCRIPT,
        append="quiet",
        modules=("xen_blkfront",),
    )

    answers = done.answers()
    assert done.code == 0, done.console[-3000:] + done.stderr
    assert answers["read"] == answers["direct"] == hashlib.sha256(data).hexdigest()
    after = first.read_bytes()
    assert hashlib.sha256(after[8 * MIB : (8 + BULK) * MIB]).hexdigest() == answers["written"]
    assert after[: 8 * MIB] == data[: 8 * MIB]
    assert after[(8 + BULK) * MIB : 40 * MIB] == data[(8 + BULK) * MIB : 40 * MIB]
    assert after[44 * MIB :] == data[44 * MIB :]
    assert answers["discarded"] == "yes"
    assert after[40 * MIB : 44 * MIB] == bytes(4 * MIB)
    assert answers["queues"] == "21"  # no more than there are vCPUs
    assert answers["sectors"] == f"{SIZE * 2048} ro=1"
    assert int(answers["segments"]) > 11
    assert answers["cache"] == "write back"
    assert "overwritten" not in answers
    assert answers["second"] == hashlib.sha256(data[: 4 * MIB]).hexdigest()
    assert second.read_bytes() == data[: 4 * MIB]
    assert complaints(done.console) == []
    xen = done.report["counters"]["devices"]["xen"]
    assert xen["xvda_flushes"] > 0
    assert xen["xvda_indirect"] > 0
    assert xen["xvda_discards"] > 0
    assert xen["xvda_broken"] == xen["xvda_failed"] == xen["fixed_broken"] == 0
    assert xen["grants_mapped"] == 0
