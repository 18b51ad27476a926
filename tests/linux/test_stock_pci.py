"""A stock kernel and the PCI bus: what it finds, and devices that come and go while it runs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.linux.running import Running, running
from tests.linux.stock import TIMEOUT, boot

pytestmark = pytest.mark.needs("kvm", "stock-kernel")

MACHINES = (("default", "kernel"), ("legacy", "split"))
LISTING = """
for d in /sys/bus/pci/devices/*; do
    echo "at $(basename $d): $(cat $d/vendor) $(cat $d/device) $(cat $d/class)"
    head -3 $d/resource | sed "s/^/resource $(basename $d) /"
done
"""
# Says what is on the bus whenever that changes, and what is behind the I/O range of a new device:
# a function is listed from the moment it is found, and has files for its BARs some time later.
WATCH = """
old=
while :; do
    new=$(ls /sys/bus/pci/devices | tr '\\n' ' ')
    if [ "$new" != "$old" ]; then
        for d in $new; do
            io=/sys/bus/pci/devices/$d/resource1
            while [ ! -e $io ] && grep -qs ^0x00ff ${io%/*}/class; do
                usleep 1000
            done
            if [ -e $io ]; then
                echo 1 >/sys/bus/pci/devices/$d/enable
                printf '\\001' | dd of=$io bs=1 count=1 2>/dev/null
                name=$(dd if=$io bs=1 skip=16 count=24 2>/dev/null | tr -d '\\000')
                echo "$d answers $name"
            fi
        done
        echo "bus: $new"
        old=$new
    fi
    usleep 20000
done
"""
CYCLES = 5


@pytest.mark.parametrize(("machine", "irqchip"), MACHINES)
def test_devices_are_found_where_they_were_put(machine: str, irqchip: str, tmp_path: Path) -> None:
    options = ["--machine", machine, "--irqchip", irqchip, "--device", "pci-testdev,addr=5"]
    options += ["--device", "pci-testdev,addr=5.3,membar=1G", "--device", "pci-testdev"]

    run = boot(tmp_path, options, script=LISTING + "dmesg -r | grep '^<[0-3]>'", append="quiet")

    assert run.code == 0, run.stderr
    lines = run.console.splitlines()
    found = sorted(line.strip() for line in lines if line.startswith("at "))
    test_device = "0x1b36 0x0005 0x00ff00"
    assert found == [
        "at 0000:00:00.0: 0x1b36 0x0008 0x060000",
        f"at 0000:00:01.0: {test_device}",
        f"at 0000:00:05.0: {test_device}",
        f"at 0000:00:05.3: {test_device}",
    ]
    large = [line for line in lines if line.startswith("resource 0000:00:05.3 ")][2].split()
    assert int(large[3], 16) - int(large[2], 16) == (1 << 30) - 1
    assert int(large[2], 16) >= 1 << 32
    assert not [line for line in lines if line.startswith("<")]


PINS = {
    "default": ("default", "kernel", "pci=nomsi", "IO-APIC", 17),
    "legacy": ("legacy", "split", "pci=nomsi", "IO-APIC", 17),
    "legacy-pic": ("legacy", "kernel", "pci=nomsi noapic", "XT-PIC", 11),
    "legacy-pic-split": ("legacy", "split", "pci=nomsi noapic", "XT-PIC", 11),
}
DRAWN = 64 << 10
INTERRUPTS = f"""
/bin/busybox dd if=/dev/hwrng bs=4096 count={DRAWN >> 12} 2>/dev/null | wc -c
grep virtio /proc/interrupts
dmesg -r | grep '^<[0-3]>'
"""


@pytest.mark.parametrize("how", PINS)
def test_a_pin_arrives_where_the_tables_say(how: str, tmp_path: Path) -> None:
    machine, irqchip, append, chip, line = PINS[how]
    options = ["--machine", machine, "--irqchip", irqchip, "--device", "virtio-rng,addr=1"]
    modules = ["virtio_pci", "virtio_rng"]

    run = boot(tmp_path, options, script=INTERRUPTS, append=f"quiet {append}", modules=modules)

    assert run.code == 0, run.stderr
    assert str(DRAWN) in run.console.split()
    (row,) = [row.split() for row in run.console.splitlines() if row.endswith("virtio0")]
    assert row[2] == chip
    assert row[3] == f"{line}-fasteoi" if chip == "IO-APIC" else row[0] == f"{line}:"
    assert int(row[1]) > 0
    assert not [row for row in run.console.splitlines() if row.startswith("<")]


@pytest.mark.parametrize(("machine", "irqchip"), MACHINES)
def test_a_device_comes_and_goes_again_and_again(
    machine: str, irqchip: str, tmp_path: Path
) -> None:
    options = ("--machine", machine, "--irqchip", irqchip, "--cpus", "2")
    with running(tmp_path, WATCH, options) as guest:
        guest.wait_for("bus: 0000:00:00.0")
        for cycle in range(1, CYCLES + 1):
            wanted = "pci-testdev,id=visitor,addr=1f"
            (made,) = guest.ask(("attach-device", {"device": wanted}))
            assert made == {"id": "visitor", "address": "00:1f.0"}
            guest.wait_for("bus: 0000:00:00.0 0000:00:1f.0", times=cycle)
            guest.ask(("detach-device", {"id": "visitor"}))
            guest.wait_for("bus: 0000:00:00.0 \n", times=cycle + 1)
            gone = deleted(guest, cycle)
            assert gone == {"device": "visitor", "address": "00:1f.0"}
        assert guest.text().count("0000:00:1f.0 answers portio-wildcard-eventfd") == CYCLES
        (info, stats) = guest.ask("info", "stats")
        assert [function["device"] for function in info["pci"]] == ["host-bridge"]
        assert stats["devices"]["pci"]["blocked"] == 0
        guest.ask("stop")


@pytest.mark.parametrize(("machine", "irqchip"), MACHINES)
def test_a_device_of_several_functions_comes_and_goes_whole(
    machine: str, irqchip: str, tmp_path: Path
) -> None:
    slot, host = [f"0000:00:0a.{function}" for function in range(3)], "0000:00:00.0"
    with running(tmp_path, WATCH, ("--machine", machine, "--irqchip", irqchip)) as guest:
        guest.wait_for(f"bus: {host}")
        for cycle in range(1, 3):
            for function in (2, 1, 0):
                guest.ask(("attach-device", {"device": f"pci-testdev,addr=a.{function}"}))
            guest.wait_for(f"bus: {' '.join([host, *slot])}", times=cycle)
            guest.ask(("detach-device", {"id": "pci-testdev0"}))
            guest.wait_for(f"bus: {host} \n", times=cycle + 1)
            assert deleted(guest, 3 * cycle) == {"device": "pci-testdev2", "address": "00:0a.0"}
        seen = [line.split()[1:] for line in guest.text().splitlines() if "bus: " in line]
        assert all(slot[0] in line or line == [host] for line in seen), seen
        for place in slot:
            assert f"{place} answers portio-wildcard-eventfd" in guest.text()
        guest.ask("stop")


def deleted(guest: Running, number: int) -> object:
    """What the DEVICE_DELETED event of that number says, once there are as many."""
    give_up = time.monotonic() + TIMEOUT
    while True:
        (events,) = guest.ask("events")
        found = [event["data"] for event in events if event["event"] == "DEVICE_DELETED"]
        if len(found) >= number:
            return found[-1]
        assert time.monotonic() < give_up, events
        time.sleep(0.05)
