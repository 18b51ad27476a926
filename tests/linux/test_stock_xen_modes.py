"""How interrupts reach a stock Debian kernel that is a Xen HVM guest, each way it can be told."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from tests.linux.images import MIB
from tests.linux.stock import boot

pytestmark = pytest.mark.needs("kvm", "stock-kernel", "xen")

SCRIPT = """
PATH=/bin; /bin/busybox --install -s /bin
echo disk=`sha256sum </dev/vda | cut -c1-64`
cat /proc/interrupts | sed 's/^/irq /'
dmesg -r | grep '^<[0-3]>'
"""
LEGACY, PIRQS = ("--machine", "legacy"), ("--xen-pirqs",)


def chips(console: str) -> dict[str, tuple[str, int]]:
    """Which chip each interrupt's user has it from, and how often it came."""
    found = {}
    for line in console.splitlines():
        row = line.split()
        if line.startswith("irq ") and row[1][:-1].isdecimal():
            counts = [word for word in row[2:] if word.isdecimal()]
            found[row[-1]] = (" ".join(row[2 + len(counts) : -1]), sum(map(int, counts)))
    return found


@pytest.mark.parametrize(
    ("append", "options", "expected"),
    [
        (
            "",
            (*PIRQS, "all", "--cpus", "2"),
            {"ttyS0": "xen-pirq -ioapic-edge", "virtio0-req.0": "xen-pirq -msi-x"},
        ),
        (
            "pci=nomsi",
            (*PIRQS, "all", "--irqchip", "split"),
            {"ttyS0": "xen-pirq -ioapic-edge", "virtio0": "xen-pirq -ioapic-level"},
        ),
        (
            "noapic pci=nomsi",
            (*PIRQS, "all", *LEGACY),
            {"timer": "XT-PIC", "virtio0": "xen-pirq -ioapic-level"},
        ),
        (
            "",
            (*PIRQS, "pins"),
            {"ttyS0": "xen-pirq -ioapic-edge", "virtio0-req.0": "PCI-MSIX"},
        ),
        (
            "xen_no_vector_callback",
            (*LEGACY, "--cpus", "2"),
            {"xen-platform-pci": "IO-APIC", "xenbus": "xen-dyn", "virtio0-req.0": "PCI-MSIX"},
        ),
        (
            "xen_no_vector_callback pci=nomsi",
            (*LEGACY, "--irqchip", "split"),
            {"xen-platform-pci": "IO-APIC", "xenbus": "xen-dyn", "virtio0": "IO-APIC"},
        ),
        (
            "xen_no_vector_callback noapic pci=nomsi",
            LEGACY,
            {"xen-platform-pci": "XT-PIC", "xenbus": "xen-dyn", "virtio0": "XT-PIC"},
        ),
    ],
    ids=[
        "pirqs",
        "pirqs-nomsi",
        "pirqs-noapic",
        "pins",
        "no-vector",
        "no-vector-nomsi",
        "no-vector-noapic",
    ],
)
def test_interrupts_come_the_way_they_are_told_to(
    append: str, options: tuple[str, ...], expected: dict[str, str], tmp_path: Path
) -> None:
    disk, data = tmp_path / "disk.img", random.Random(append).randbytes(MIB)
    disk.write_bytes(data)
    shape = ("--xen", "--xen-backend", "kvm", "--disk", str(disk), *options)

    run = boot(
        tmp_path, shape, script=SCRIPT, append=f"quiet {append}",
        modules=("virtio_pci", "virtio_blk"),
    )  # fmt: skip

    assert run.code == 0, run.console[-3000:] + run.stderr
    assert run.answers()["disk"] == hashlib.sha256(data).hexdigest()
    found = chips(run.console)
    for user, chip in expected.items():
        assert found[user][0].startswith(chip), found
        assert found[user][1] > 0, found
    counted = run.report["counters"]["devices"]["xen"]
    assert "physdev_op eoi" not in counted  # C answers it
    if append == "pci=nomsi":  # the PIC's lines are edges
        assert counted["pin_eois"] > 0
    assert [line for line in run.console.splitlines() if line.startswith("<")] == []
