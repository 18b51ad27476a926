"""Devices that come and go through the machine's own interface."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import guests
from tests.descriptors import await_no_more, descriptors
from vmm.config import VmConfig
from vmm.deviceconfig import DeviceConfig
from vmm.errors import ConfigError, StateError, VmmError
from vmm.machine import Machine
from vmm.virtio.transport import VirtioPci

pytestmark = pytest.mark.needs("kvm")

GUEST = guests.load()[0]["pcihp"]
CYCLES = 100
PATIENCE = 120
FOREVER = b"\xeb\xfe"


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    guests.build()


def config(tmp_path: Path, **settings: Any) -> VmConfig:
    """A guest that does nothing, for ever; devices may come."""
    image = tmp_path / "image"
    image.write_bytes(FOREVER.ljust(510, b"\x90") + b"\x55\xaa")
    settings = {"pci": "on"} | settings
    return VmConfig.of(kernel=str(image), mem=16 << 20, consoles=["null"], **settings)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


class Events:
    """What the machine tells, in order; one can wait for it."""

    def __init__(self, machine: Machine) -> None:
        self.seen: list[tuple[str, dict[str, object]]] = []
        self._more = threading.Condition()
        machine.on_event = self._add

    def _add(self, name: str, fields: dict[str, object]) -> None:
        with self._more:
            self.seen.append((name, fields))
            self._more.notify_all()

    def deleted(self) -> list[object]:
        return [fields["device"] for name, fields in self.seen if name == "DEVICE_DELETED"]

    def wait_for_deletions(self, count: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: len(self.deleted()) >= count, PATIENCE)


@pytest.mark.parametrize("machine", ["default", "legacy"])
def test_a_hundred_devices_come_and_go(machine: str, tmp_path: Path) -> None:
    output = tmp_path / "console"
    settings = GUEST.settings("kernel", tmp_path) | {"machine": machine, "pci": "on"}
    with Machine(VmConfig.of(consoles=[f"file:{output}"], **settings)) as vm:
        events = Events(vm)
        vm.start()
        wait_for(lambda: "ok 1" in output.read_text())
        for cycle in range(CYCLES):
            made = vm.attach_device(f"pci-testdev,id=d{cycle},addr={1 + cycle % 31:x}")
            assert made["address"] == f"00:{1 + cycle % 31:02x}.0"
            vm.detach_device(f"d{cycle}")
            events.wait_for_deletions(cycle + 1)
        code = vm.wait(PATIENCE).code
        root: Any = vm.hardware.device("pci")
        assert [function.name for function in root.functions.values()] == ["host-bridge"]
        assert events.deleted() == [f"d{cycle}" for cycle in range(CYCLES)]
    assert not GUEST.complaints(output.read_text(errors="replace"), code)


@pytest.fixture(params=["ready", "running", "paused"])
def idle(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """A machine in this state whose guest looks at nothing."""
    with Machine(config(tmp_path, devices=["pci-testdev,id=old,addr=4"])) as machine:
        if request.param != "ready":
            machine.start()
        if request.param == "paused":
            machine.pause()
        yield machine


def test_a_device_can_come_in_every_state(idle: Machine) -> None:
    first = idle.attach_device("pci-testdev")
    second = idle.attach_device(DeviceConfig(kind="virtio-rng", id="rng", addr="9"))

    assert first == {"id": "pci-testdev0", "address": "00:01.0"}
    assert second == {"id": "rng", "address": "00:09.0"}
    listed = {row["device"]: row["address"] for row in idle.info()["pci"]}
    assert listed == {
        "host-bridge": "00:00.0",
        "pci-testdev0": "00:01.0",
        "old": "00:04.0",
        "rng": "00:09.0",
    }
    assert {"pci-testdev0", "rng"} <= idle.stats()["devices"].keys()


@pytest.mark.parametrize(
    ("device", "kind", "reason"),
    [
        ("pci-testdef", ConfigError, "did you mean pci-testdev"),
        ("pci-testdev,a=b", ConfigError, "has no setting 'a'"),
        ("", ConfigError, "wants the name of a device"),
        ("pci-testdev,id=old", StateError, "called old already"),
        ("pci-testdev,id=com1", StateError, "called com1 already"),
        ("pci-testdev,addr=4", VmmError, "pci_plug"),
        ("pci-testdev,addr=4.1", StateError, "when it found old"),
        ("pci-testdev,addr=4.8", ConfigError, "wants SLOT"),
        ("pci-testdev,membar=1T", VmmError, "No room is left"),
    ],
)
def test_a_device_that_cannot_come_changes_nothing(
    device: str, kind: type[VmmError], reason: str, idle: Machine
) -> None:
    before, files = idle.info(), descriptors()

    with pytest.raises(kind, match=reason):
        idle.attach_device(device)

    assert idle.info() == before
    await_no_more(files)


def test_functions_wait_for_function_0_and_leave_at_once_without_it(idle: Machine) -> None:
    events = Events(idle)
    registers: Any = idle.hardware.device("pci-hotplug")
    for function in (3, 1):
        idle.attach_device(f"pci-testdev,id=f{function},addr=7.{function}")
    assert registers.save()["up"] == 0
    idle.detach_device("f1")
    assert events.deleted() == ["f3", "f1"]
    idle.attach_device("pci-testdev,id=f2,addr=7.2")
    idle.attach_device("pci-testdev,id=f0,addr=7.0")
    assert registers.save()["up"] == 1 << 7
    with pytest.raises(StateError, match="found f0"):
        idle.attach_device("pci-testdev,addr=7.1")


@pytest.mark.parametrize("name", ["nobody", "com1", "host-bridge", "pci", ""])
def test_what_cannot_leave_stays(name: str, idle: Machine) -> None:
    with pytest.raises(StateError, match="no device called"):
        idle.detach_device(name)


def test_a_device_leaves_at_once_while_no_guest_ran(tmp_path: Path) -> None:
    with Machine(config(tmp_path, devices=["pci-testdev,id=old"])) as machine:
        events = Events(machine)
        machine.detach_device("old")
        assert events.seen == [("DEVICE_DELETED", {"device": "old", "address": "00:01.0"})]
        assert machine.hardware.device("old") is None
        machine.attach_device("pci-testdev,id=old")


def test_a_device_that_the_guest_keeps_leaves_with_the_next_reset(tmp_path: Path) -> None:
    devices = ["pci-testdev,id=a,addr=3", "pci-testdev,id=b,addr=3.1", "pci-testdev,id=c"]
    with Machine(config(tmp_path, devices=devices)) as machine:
        events = Events(machine)
        machine.start()
        machine.detach_device("a")
        assert machine.hardware.device("a") is not None
        machine.reset()
        assert events.deleted() == ["b", "a"]  # all of its slot, function 0 last
        assert [row["device"] for row in machine.info()["pci"]] == ["host-bridge", "c"]
        machine.reset()
        assert events.deleted() == ["b", "a"]


def test_a_hot_plugged_device_survives_a_reset_and_a_saved_state_names_it(tmp_path: Path) -> None:
    with Machine(config(tmp_path)) as machine:
        machine.start()
        machine.attach_device("pci-testdev,id=new")
        machine.reset()
        machine.pause()
        saved = machine.save()
        assert "new" in saved["devices"]
        machine.load(saved)
        machine.resume()


def test_a_stopped_machine_takes_no_devices(tmp_path: Path) -> None:
    with Machine(config(tmp_path)) as machine:
        machine.start()
        machine.stop()
        machine.wait(PATIENCE)
        with pytest.raises(StateError, match="attach a device to a machine that is stopped"):
            machine.attach_device("pci-testdev")


def test_devices_come_to_rest_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def noting(name: str) -> Callable[[VirtioPci], None]:
        original = getattr(VirtioPci, name)

        def noted(device: VirtioPci) -> None:
            done.append(f"{name} {device.name}")
            original(device)

        return noted

    for name in ("ask_halt", "halt"):
        monkeypatch.setattr(VirtioPci, name, noting(name))
    with Machine(config(tmp_path, devices=["virtio-rng,id=a", "virtio-rng,id=b"])) as machine:
        machine.start()
        machine.stop()
        machine.wait(PATIENCE)
    assert done == ["ask_halt a", "ask_halt b", "halt a", "halt b"]


@pytest.mark.parametrize("verb", ["attach_device", "detach_device"])
def test_a_machine_without_a_bus_says_so(verb: str, tmp_path: Path) -> None:
    with Machine(config(tmp_path, pci="auto")) as machine:
        with pytest.raises(StateError, match="no PCI bus"):
            getattr(machine, verb)("pci-testdev")
        assert machine.hardware.pci_functions() == []
