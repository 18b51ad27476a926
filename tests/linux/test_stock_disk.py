"""A stock Debian kernel and its disks: file systems, bytes compared, what is left after a crash."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from tests.linux.images import MIB, ext4, host_mount, image, loop_device
from tests.linux.running import running
from tests.linux.stock import Boot, boot
from tests.linux.test_stock_boot import complaints
from vmm.backends.image import BlockConfig, open_image
from vmm.errors import EXIT_HOST, EXIT_PANIC

pytestmark = pytest.mark.needs("kvm", "stock-kernel")

BULK = 32
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


TRAFFIC = "\n".join(
    (
        SHELL,
        "mke2fs /dev/vda >/dev/null; mount -t ext4 /dev/vda /disk || exit 1",
        "echo serial=`cat /sys/block/vda/serial`",
        "echo queues=`ls /sys/block/vda/mq | wc -l`",
        "echo cache=`cat /sys/block/vda/queue/write_cache`",
        "dd if=/dev/urandom of=/disk/one bs=1M count=8 2>/dev/null",
        "cp /disk/one /disk/two; sync; echo 3 >/proc/sys/vm/drop_caches",
        "cmp /disk/one /disk/two && echo same=yes",
        "rm /disk/two; sync; fstrim -v /disk",
        "echo sum=`sha256sum </disk/one | cut -c1-64`",
        "umount /disk; dmesg -r | grep '^<[0-3]>'",
    )
)


@pytest.mark.parametrize(
    "options",
    ["engine=io_uring", "engine=threads,queues=2", "direct,queues=2", "engine=threads,direct"],
)
def test_file_system_of_the_guest_s_own(options: str, tmp_path: Path) -> None:
    disk = image(tmp_path, 64 * MIB)

    shape = ("--cpus", "2", "--io-threads", "2")
    done = run(tmp_path, TRAFFIC, *shape, "--disk", f"{disk},serial=number 1,{options}")

    answers = done.answers()
    assert done.code == 0, done.console[-3000:] + done.stderr
    assert answers["serial"] == "number 1"
    assert answers["queues"] == ("2" if "queues" in options else "1")
    assert answers["cache"] == "write back"
    assert answers["same"] == "yes"
    assert complaints(done.console) == []
    counters = done.report["counters"]["devices"]["virtio-blk0"]
    assert counters["failed"] == counters["rejected"] == counters["unsupported"] == 0
    assert counters["discards"] > 0
    assert disk.stat().st_blocks * 512 < 32 * MIB  # trimmed
    checked = mounted(tmp_path, disk, "echo sum=`sha256sum </disk/one | cut -c1-64`")
    assert checked.answers()["sum"] == answers["sum"]


def mounted(folder: Path, disk: Path | str, script: str) -> Boot:
    """What a guest says that mounts the disk, which is read-only to it."""
    lines = (SHELL, "mount -t ext4 -o ro,noload /dev/vda /disk || exit 1", script)
    done = run(folder, "\n".join(lines), "--disk", f"{disk},ro")
    assert done.code == 0, done.console[-3000:] + done.stderr
    return done


def test_block_device_of_the_host(tmp_path: Path) -> None:
    with loop_device(image(tmp_path, 64 * MIB)) as loop:
        done = run(tmp_path, TRAFFIC, "--disk", f"{loop},direct")
        assert done.code == 0, done.console[-3000:] + done.stderr
        assert done.answers()["same"] == "yes"
        assert complaints(done.console) == []
        with host_mount(loop, tmp_path / "mounted"):
            refused = run(tmp_path, TRAFFIC, "--disk", loop)
        assert refused.code == EXIT_HOST
        assert f"{loop} is in use on this host, mounted or part of another" in refused.stderr


STEADY = "\n".join(
    (
        SHELL,
        "mount -t ext4 /dev/vda /disk || exit 1",
        "dd if=/dev/urandom of=/disk/kept bs=1M count=8 2>/dev/null; sync",
        "echo kept=`sha256sum </disk/kept | cut -c1-64`",
        "while true; do",
        "  dd if=/disk/kept of=/disk/other bs=64k conv=fsync 2>/dev/null",
        "  echo 3 >/proc/sys/vm/drop_caches; echo pass",
        "done",
    )
)


def test_traffic_needs_no_python_and_a_killed_machine_keeps_what_was_synced(
    tmp_path: Path,
) -> None:
    disk = ext4(image(tmp_path, 64 * MIB))
    with running(tmp_path, STEADY, ("--disk", f"{disk},id=d"), MODULES) as guest:
        guest.wait_for("pass", times=2)
        (before,) = guest.ask("stats")
        guest.wait_for("pass", times=guest.text().count("pass") + 5)
        (after,) = guest.ask("stats")
        guest.process.kill()
        guest.process.wait()
        text = guest.text()

    assert after["devices"]["d"]["reads"] > before["devices"]["d"]["reads"]
    assert (
        after["devices"]["d"]["written_bytes"] >= before["devices"]["d"]["written_bytes"] + 4 * MIB
    )
    assert after["upcalls"]["count"] <= before["upcalls"]["count"] + 1  # for the question itself
    (kept,) = [line[5:].strip() for line in text.splitlines() if line.startswith("kept=")]
    script = "echo kept=`sha256sum </disk/kept | cut -c1-64`"
    lines = (SHELL, "mount -t ext4 /dev/vda /disk || exit 1", script, "umount /disk")
    done = run(tmp_path, "\n".join(lines), "--disk", str(disk))
    assert done.answers()["kept"] == kept
    subprocess.run(["/sbin/e2fsck", "-fn", str(disk)], check=True)


VISITED = "\n".join(
    (
        SHELL,
        "while true; do",
        "  if [ -b /dev/vda ]; then",
        "    echo size=`cat /sys/block/vda/size`: `sha256sum </dev/vda | cut -c1-64`",
        "  else echo nothing; fi",
        "  sleep 1",
        "done",
    )
)


def test_disk_comes_grows_and_goes(tmp_path: Path) -> None:
    disk = image(tmp_path, MIB)
    disk.write_bytes(os.urandom(MIB))
    first = hashlib.sha256(disk.read_bytes()).hexdigest()
    with running(tmp_path, VISITED, (), MODULES) as guest:
        guest.wait_for("nothing")
        guest.ask(("attach-device", {"device": f"virtio-blk,id=visitor,path={disk}"}))
        guest.wait_for(f"size=2048: {first}")
        with disk.open("ab") as file:
            file.write(bytes(MIB))
        (grown,) = guest.ask(("resize-disk", {"id": "visitor"}))
        assert grown == {"bytes": 2 * MIB}
        guest.wait_for(f"size=4096: {hashlib.sha256(disk.read_bytes()).hexdigest()}")
        guest.ask(("detach-device", {"id": "visitor"}))
        guest.wait_for("nothing", times=guest.text().count("nothing") + 2)
        open_image(BlockConfig(path=str(disk))).close()
        guest.ask("stop")
