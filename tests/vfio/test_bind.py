"""Binding to vfio-pci and giving back, with drivers of a real kernel."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vfio.host import drive, driver, load, override, until, vmm, vmm_after
from tests.vfio.lab import CARD, DISK, DISK_SIZE, SHARED_CARD, SHARED_EDU
from vmm.errors import EXIT_HOST, EXIT_OK
from vmm.vfio.sysfs import DEVICES

pytestmark = pytest.mark.needs("vfio")


def disk_node() -> Path:
    """Its name depends on which of the lab's controllers was first; nothing without a driver."""
    names = [path.name for path in Path(DEVICES, DISK, "nvme").glob("nvme*")]
    return Path("/dev", f"{names[0]}n1" if names else "none")


def disk_works() -> bool:
    node = disk_node()
    return node.is_block_device() and len(node.read_bytes()) == DISK_SIZE


@pytest.fixture
def disk() -> str:
    load("nvme")
    until(lambda: disk_node().is_block_device())
    return DISK


@pytest.fixture
def card() -> str:
    """Its link stays down: nothing is lost with it."""
    load("e1000e")
    until(lambda: driver(CARD) == "e1000e")
    return CARD


def test_a_disk_is_taken_and_given_back(disk: str) -> None:
    node = disk_node()
    done = vmm("bind", disk)
    assert (done.returncode, done.stderr) == (EXIT_OK, "")
    assert done.stdout == f"{disk}: nvme -> vfio-pci\n"
    assert driver(disk) == "vfio-pci"
    assert not node.exists()
    assert "bound to vfio-pci already" in vmm("bind", disk).stdout

    done = vmm("restore", disk)

    assert (done.returncode, done.stdout) == (EXIT_OK, f"{disk}: given back\n")
    assert (driver(disk), override(disk)) == ("nvme", "")
    until(disk_works)
    assert vmm("restore").stdout == "Nothing was taken.\n"
    for words in ([], ["--dry-run"]):
        done = vmm("restore", *words, disk)
        assert (done.returncode, done.stdout) == (EXIT_HOST, "")
        assert done.stderr == f"vmm: {disk} was not taken by `vmm vfio bind`\n"


def test_a_card_and_a_disk_in_one_command(disk: str, card: str) -> None:
    assert json.loads(vmm("bind", "--json", disk, card).stdout) == {"bound": [disk, card]}
    assert [driver(name) for name in (disk, card)] == ["vfio-pci", "vfio-pci"]

    assert json.loads(vmm("restore", "--json").stdout) == {"restored": [card, disk]}
    assert [driver(name) for name in (disk, card)] == ["nvme", "e1000e"]
    until(lambda: Path(f"/sys/bus/pci/devices/{card}/net").is_dir())


def test_a_dry_run_prints_commands_that_do_the_same(disk: str) -> None:
    done = vmm("bind", "--dry-run", disk)
    assert done.returncode == EXIT_OK
    assert driver(disk) == "nvme"
    subprocess.run(["sh", "-ec", done.stdout], check=True)
    assert driver(disk) == "vfio-pci"

    subprocess.run(["sh", "-c", f"echo > /sys/bus/pci/devices/{disk}/driver_override"], check=True)
    drive(disk, "nvme")
    assert driver(disk) == "nvme"


# Stops for good in the middle of binding: at the write whose number is the first argument.
INTERRUPTED = """
import os, signal, sys
from vmm.host.files import write_bounded
from vmm.vfio.bind import Binder
from vmm.vfio.sysfs import function

def write(path, text, left=[int(sys.argv[1])]):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    write_bounded(path, text)

Binder(write=write).bind([function(sys.argv[2])])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("writes", range(4))
def test_a_kill_at_any_point_is_mended_by_restore(disk: str, writes: int) -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, str(writes), disk], check=False)
    assert done.returncode == -signal.SIGKILL
    assert driver(disk) == ("nvme", "nvme", "", "vfio-pci")[writes]

    assert vmm("restore").stdout == f"{disk}: given back\n"

    assert (driver(disk), override(disk)) == ("nvme", "")
    until(disk_works)


def test_a_disk_that_somebody_claims_must_be_asked_for(disk: str) -> None:
    node = disk_node()
    fd = os.open(node, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC)  # as a pool or a mount does
    try:
        done = vmm("bind", disk)
    finally:
        os.close(fd)

    assert done.returncode == EXIT_HOST
    assert f"{disk} cannot be taken: {node} is claimed by" in done.stderr
    assert "say --force to take it all the same" in done.stderr
    assert driver(disk) == "nvme"


def test_a_link_that_is_up_must_be_asked_for_twice(card: str) -> None:
    (name,) = os.listdir(f"/sys/bus/pci/devices/{card}/net")
    subprocess.run(["ip", "link", "set", name, "up"], check=True)

    for words in ([], ["--force"], ["--really"]):
        done = vmm("bind", *words, card)
        assert done.returncode == EXIT_HOST
        assert f"{card} cannot be taken: network link {name} is up and no other is" in done.stderr
        assert done.stderr.count("\n") == 1
        assert driver(card) == "e1000e"
    assert vmm("bind", "--force", "--really", card).returncode == EXIT_OK
    assert vmm("restore").returncode == EXIT_OK
    assert driver(card) == "e1000e"


def test_a_shared_group_is_taken_whole_or_not(disk: str) -> None:
    load("8139cp")
    until(lambda: driver(SHARED_CARD) == "8139cp")
    done = vmm("bind", SHARED_EDU)
    assert done.returncode == EXIT_HOST
    assert f"also holds {SHARED_CARD} (Ethernet), which the driver 8139cp runs" in done.stderr
    assert f"vmm vfio bind --group {SHARED_EDU}" in done.stderr
    assert driver(SHARED_EDU) == ""

    done = vmm("bind", "--group", SHARED_EDU)

    assert done.returncode == EXIT_OK, done.stderr
    assert [driver(name) for name in (SHARED_EDU, SHARED_CARD)] == ["vfio-pci", "vfio-pci"]
    assert vmm("restore").returncode == EXIT_OK
    assert [driver(name) for name in (SHARED_EDU, SHARED_CARD)] == ["", "8139cp"]


def test_a_driver_that_will_not_come_back_is_told_and_the_others_are_restored(
    disk: str, card: str
) -> None:
    assert vmm("bind", disk, card).returncode == EXIT_OK
    subprocess.run(["rmmod", "e1000e"], check=True)

    done = vmm("restore")

    assert done.returncode == EXIT_HOST
    assert driver(disk) == "nvme"
    assert "drivers/e1000e/bind` failed: No such file or directory" in done.stderr
    assert "load the driver with `modprobe e1000e`" in done.stderr
    load("e1000e")
    assert vmm("restore").stdout == f"{card}: given back\n"


def test_what_a_user_may_not_do_is_said_before_anything_is_done(disk: str) -> None:
    nobody = ("setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all")

    done = vmm_after(nobody, "bind", disk)

    assert done.returncode == EXIT_HOST
    assert done.stderr == (
        f"vmm: {disk} cannot be taken: this user may not bind it to another driver; "
        f"sudo vmm vfio bind {disk}\n"
    )
    assert driver(disk) == "nvme"
    done = vmm_after(nobody, "restore")
    assert done.returncode == EXIT_HOST
    assert "run the command with sudo" in done.stderr
