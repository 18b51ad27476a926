"""Functions of the host that come and go while a guest runs, fail, or are wanted back."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import guests
from tests.vfio.edu import ID, Edu
from tests.vfio.guest import StockGuest, stock_guest
from tests.vfio.host import PATIENCE, drive, driver, load, until, vmm, write
from tests.vfio.lab import BRIDGE, EDU, REPORTING, SHARED_CARD, SHARED_EDU, STORE
from vmm.config import VmConfig
from vmm.errors import EXIT_OK, StateError
from vmm.machine import Machine
from vmm.vfio import passthrough
from vmm.vfio.sysfs import DEVICES

GUEST = guests.load()[0]["vfio"]
pytestmark = pytest.mark.needs("kvm", "stock-kernel", "root", *GUEST.needs)
SHOWN = 8  # failures of one of the tiny guest's tests
COMPLETER_ABORT = 1 << 15  # of the uncorrectable errors
COMMAND, BUS_NUMBERS = 0x04, 0x18  # of a bridge
# Reads without end while there is a disk; says when one comes and when it has gone.
LOAD = """
while [ ! -e /enough ]; do
    if [ -b /dev/nvme0n1 ]; then
        echo "disk came"
        while dd if=/dev/nvme0n1 of=/dev/null bs=64k count=256 iflag=direct 2>/dev/null; do :; done
        while [ -b /dev/nvme0n1 ]; do usleep 20000; done
        echo "disk went"
    fi
    usleep 20000
done
"""


class Events(list[tuple[str, dict[str, object]]]):
    """What a machine told, in order."""

    def of(self, name: str) -> list[dict[str, object]]:
        return [fields for event, fields in self if event == name]


def listen(machine: Machine) -> Events:
    events = Events()
    machine.on_event = lambda name, fields: events.append((name, fields))
    return events


@contextmanager
def working(folder: Path, *devices: str, **settings: Any) -> Iterator[tuple[Machine, Events]]:
    """A tiny guest that is busy with an edu device until the end."""
    guests.build()
    console = folder / "console"
    skip = [name for name in GUEST.tests if name != "forever"]
    config = VmConfig.of(
        kernel=str(GUEST.path),
        mem=GUEST.mem,
        append=f"skip={','.join(skip)}",
        consoles=[f"file:{console}"],
        devices=list(devices),
        **settings,
    )
    with Machine(config) as machine:
        events = listen(machine)
        machine.start()
        until(lambda: at_work(console))
        yield machine, events
        machine.stop()


def at_work(console: Path) -> int:
    return console.read_bytes().count(b"at work") if console.exists() else 0


def test_a_disk_leaves_under_load_and_comes_again(tmp_path: Path) -> None:
    load("nvme")
    drive(STORE, "nvme")
    assert vmm("bind", STORE).returncode == EXIT_OK
    device = f"vfio,host={STORE},id=store"
    with stock_guest(tmp_path, LOAD, ["nvme"], devices=[device], cpus=2) as guest:
        events = listen(guest.machine)
        guest.wait_for("disk came")
        for cycle in range(1, 3):
            guest.machine.detach_device("store")
            until(lambda n=cycle: len(events.of("DEVICE_DELETED")) == n)
            until(lambda n=cycle: guest.text().count("disk went") == n)
            assert vmm("restore").returncode == EXIT_OK
            assert driver(STORE) == "nvme"
            assert vmm("bind", STORE).returncode == EXIT_OK
            guest.machine.attach_device(device)
            until(lambda n=cycle: guest.text().count("disk came") == n + 1)
        the_host_removes_it(guest, events)
        guest.machine.stop()
    assert vmm("restore").returncode == EXIT_OK


def the_host_removes_it(guest: StockGuest, events: Events) -> None:
    """It waits until the guest has let go; a scan of the bus then finds it again."""
    removing = threading.Thread(target=lambda: write(f"{DEVICES}/{STORE}/remove", "1"))
    removing.start()
    until(lambda: len(events.of("DEVICE_DELETED")) == 3)
    removing.join()
    assert events.of("DEVICE_REQUESTED")[0] == {"device": "store", "host": STORE}
    guest.wait_for("disk went")
    write("/sys/bus/pci/rescan", "1")
    until(lambda: driver(STORE))


@pytest.mark.parametrize("irqchip", ["kernel", "split"])
def test_a_reset_begins_anew_with_every_function_of_a_group(tmp_path: Path, irqchip: str) -> None:
    load("8139cp")
    assert vmm("bind", "--group", SHARED_EDU).returncode == EXIT_OK
    devices = [f"vfio,host={one}" for one in (SHARED_EDU, SHARED_CARD)]
    with working(tmp_path, *devices, irqchip=irqchip) as (machine, _events):
        for number in (2, 3):
            machine.reset()
            until(lambda n=number: at_work(tmp_path / "console") == n)
        machine.pause()
        with pytest.raises(StateError, match=f"a device of the host.*{SHARED_EDU}"):
            machine.save()
        machine.resume()
    assert vmm("restore").returncode == EXIT_OK
    assert driver(SHARED_CARD) == "8139cp"


def injected(address: str) -> None:
    """The function reports an uncorrectable error that is not fatal: a completer abort."""
    domain, bus, place = address.split(":")
    device, function = place.split(".")
    where = (int(bus, 16), int(device, 16), int(function))
    load("aer_inject")
    record = struct.pack("=3Bx7I", *where, COMPLETER_ABORT, *[0] * 5, int(domain, 16))
    Path("/dev/aer_inject").write_bytes(record)


@pytest.mark.parametrize("answer", ["pause", "unplug", "ignore"])
def test_a_device_that_fails_is_told_and_answered(tmp_path: Path, answer: str) -> None:
    assert vmm("bind", EDU, REPORTING).returncode == EXIT_OK
    broken = f"vfio,host={REPORTING},id=broken,on-error={answer}"
    with working(tmp_path, f"vfio,host={EDU}", broken) as (machine, events):
        device: Any = machine.hardware.device("broken")
        asked: Any = machine.hardware.device("pci-hotplug")
        injected(REPORTING)
        until(lambda: events.of("DEVICE_ERROR"))
        about = {"device": "broken", "host": REPORTING, "action": answer}
        assert events.of("DEVICE_ERROR") == [about]
        if answer == "pause":
            until(lambda: machine.state == "paused")
        elif answer == "unplug":
            until(lambda: asked.asked == {device.function.devfn >> 3})
        else:
            machine.hardware.loops.first.ask(int)  # the loop has done with the notice
            passed = threading.Event()
            machine.post(passed.set)  # behind whatever it wished for
            assert passed.wait(PATIENCE)
            assert (machine.state, asked.asked) == ("running", set())
    assert vmm("restore").returncode == EXIT_OK


@contextmanager
def nothing_behind(bridge: str) -> Iterator[None]:
    """Whatever is behind it answers no access any more, and sends nothing: as if it were dead."""
    config = Path(f"{DEVICES}/{bridge}/config")
    before = config.read_bytes()
    try:
        with config.open("r+b", buffering=0) as registers:
            for at, size in ((COMMAND, 2), (BUS_NUMBERS, 4)):
                os.pwrite(registers.fileno(), bytes(size), at)
        yield
    finally:
        with config.open("r+b", buffering=0) as registers:
            for at, size in ((BUS_NUMBERS, 4), (COMMAND, 2)):
                os.pwrite(registers.fileno(), before[at : at + size], at)
        for one in (SHARED_EDU, SHARED_CARD):  # which nobody could set up after their reset
            write(f"{DEVICES}/{one}/remove", "1")
        write("/sys/bus/pci/rescan", "1")
        until(lambda: os.path.isdir(f"{DEVICES}/{SHARED_CARD}"))


def test_a_device_that_dies_takes_nobody_along(tmp_path: Path) -> None:
    load("8139cp")
    assert vmm("bind", EDU).returncode == EXIT_OK
    assert vmm("bind", "--group", SHARED_EDU).returncode == EXIT_OK
    console, devices = tmp_path / "console", [f"vfio,host={one}" for one in (SHARED_EDU, EDU)]
    with ExitStack() as mended, working(tmp_path, *devices) as (machine, _events):  # closed first
        mended.enter_context(nothing_behind(BRIDGE))
        until(lambda: b"failed: edu_answers(regs)" in console.read_bytes())
        machine.reset()
        until(lambda: at_work(console) == 2)
        until(lambda: console.read_bytes().count(b"failed: edu_answers(regs)") > SHOWN)
        assert machine.state == "running"
    assert vmm("restore").returncode == EXIT_OK
    assert (driver(SHARED_EDU), driver(SHARED_CARD)) == ("", "8139cp")
    with passthrough(SHARED_EDU, group=True) as device:
        assert Edu(device).read(ID) & 0xFF == 0xED
