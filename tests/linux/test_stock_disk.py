"""A stock Debian kernel and its disks: file systems, bytes compared, what is left after a crash."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.linux.stock import Boot, boot
from tests.linux.test_stock_boot import complaints
from vmm.errors import EXIT_PANIC

pytestmark = pytest.mark.needs("kvm", "stock-kernel")

MIB = 1 << 20
BULK = 256
MODULES = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic")
SHELL = "PATH=/bin; busybox --install -s /bin; mkdir /disk"
WRITE = f"dd if=/dev/urandom bs=1M count={BULK} 2>/dev/null | tee /disk/bulk | sha256sum"
FILL = "\n".join(
    (
        SHELL,
        "mount -t ext4 /dev/vda /disk || exit 1",
        f"echo written=`{WRITE} | cut -c1-64`",
        "sync",
        "echo not-synced >/disk/later",
        "echo c >/proc/sysrq-trigger",
    )
)
READ = "\n".join(
    (
        SHELL,
        "mount -t ext4 /dev/vda /disk || exit 1",
        "echo read=`sha256sum </disk/bulk | cut -c1-64`",
        "umount /disk",
        "dmesg -r | grep '^<[0-3]>'",
    )
)


def image(folder: Path, size: int) -> Path:
    path = folder / "disk.img"
    with path.open("wb") as file:
        file.truncate(size)
    return path


def ext4(path: Path) -> Path:
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", str(path)], check=True)
    return path


def run(folder: Path, script: str, *options: str) -> Boot:
    return boot(folder, options, script=script, append="quiet", modules=MODULES)


def test_synced_files_outlive_a_crash_of_the_guest(tmp_path: Path) -> None:
    disk = ext4(image(tmp_path, (BULK + 64) * MIB))

    filled = run(tmp_path, FILL, "--disk", str(disk))
    assert filled.code == EXIT_PANIC, filled.console[-3000:] + filled.stderr
    done = run(tmp_path, READ, "--disk", str(disk))

    assert done.code == 0, done.console[-3000:] + done.stderr
    assert len(done.answers()["read"]) == 64
    assert done.answers()["read"] == filled.answers()["written"]
    assert complaints(done.console) == []
    counters = filled.report["counters"]
    assert counters["devices"]["virtio-blk0"]["written_bytes"] > BULK * MIB
    assert counters["devices"]["virtio-blk0"]["flushes"] > 0
    assert counters["upcalls"]["count"] <= 64
    subprocess.run(["/sbin/e2fsck", "-fn", str(disk)], check=True)
