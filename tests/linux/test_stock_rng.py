"""A stock Debian kernel takes its random bytes from virtio-rng, and gives the device back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.linux.stock import Boot, boot
from tests.linux.test_stock_boot import complaints

pytestmark = pytest.mark.needs("kvm", "stock-kernel")

BYTES = 256 << 10
READ = "/bin/busybox dd if=/dev/hwrng bs=4096"
SCRIPT = "\n".join(
    (
        "PATH=/bin; busybox --install -s /bin",
        "echo source=`cat /sys/class/misc/hw_random/rng_current`",
        "echo irq=`grep -c virtio0-input /proc/interrupts`",
        "echo features=`cat /sys/bus/virtio/devices/virtio0/features`",
        f"{READ} count={BYTES >> 12} 2>/dev/null >/tmp/a",
        "echo bytes=`wc -c </tmp/a`",
        "echo packed=`gzip -c /tmp/a | wc -c`",
        "cd /sys/bus/virtio/drivers/virtio_rng",
        "for i in 1 2 3; do echo virtio0 >unbind; echo virtio0 >bind; done",
        "echo again=`head -c 1000 /dev/hwrng | wc -c`",
        "dmesg -r | grep '^<[0-3]>'",
    )
)


def run(folder: Path, *options: str, append: str = "") -> Boot:
    return boot(
        folder,
        options,
        script=SCRIPT,
        append=f"quiet {append}",
        modules=["virtio_pci", "virtio_rng"],
    )


def check(run: Boot) -> None:
    answers = run.answers()
    assert run.code == 0, run.console[-3000:] + run.stderr
    assert answers["source"] == "virtio_rng.0"
    assert int(answers["bytes"]) == BYTES
    assert int(answers["packed"]) > BYTES  # nothing to compress
    assert int(answers["again"]) == 1000
    assert complaints(run.console) == []
    counters = run.report["counters"]["devices"]["virtio-rng0"]
    assert counters["random_bytes"] >= BYTES
    assert counters["faults"] == counters["refused"] == counters["ignored"] == 0
    assert counters["starts"] == 4


@pytest.mark.parametrize(("machine", "irqchip"), [("default", "kernel"), ("legacy", "split")])
def test_hwrng_reads_from_the_device(machine: str, irqchip: str, tmp_path: Path) -> None:
    done = run(tmp_path, "--rng", "--irqchip", irqchip, "--machine", machine)

    check(done)
    assert int(done.answers()["irq"]) == 1
    features = done.answers()["features"]
    assert features[32] == features[29] == features[28] == "1"
    assert done.report["counters"]["upcalls"]["count"] <= 64


def test_device_works_on_its_pin(tmp_path: Path) -> None:
    done = run(tmp_path, "--rng", "--irqchip", "split", append="pci=nomsi")

    check(done)


def test_device_works_behind_memory_doorbells_and_with_access_platform(tmp_path: Path) -> None:
    device = "virtio-rng,id=virtio-rng0,notify=mmio,access-platform=on"
    done = run(tmp_path, "--device", device, "--machine", "legacy")

    check(done)
    assert done.answers()["features"][33] == "1"


def test_device_without_a_driver_is_named_at_the_end(tmp_path: Path) -> None:
    done = boot(tmp_path, ["--rng"], append="quiet")

    assert done.code == 0
    assert done.stderr.strip() == (
        "vmm: the guest never used virtio-rng0: a Linux guest needs CONFIG_HW_RANDOM_VIRTIO, "
        "built in or as a loaded module"
    )
    assert done.report["unused"] == {"virtio-rng0": "CONFIG_HW_RANDOM_VIRTIO"}
