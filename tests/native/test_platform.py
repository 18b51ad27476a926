"""The platform's list of devices: names, places, and that every device saves, loads and resets."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.native.devrig import Rig
from vmm.devices.platform import build_platform
from vmm.errors import StateError, VmmError
from vmm.native import ffi, lib

if TYPE_CHECKING:
    from vmm.cdevice import Device

KINDS = [
    {"machine": machine, "irqchip": irqchip, "testdev": testdev}
    for machine in ("default", "legacy")
    for irqchip in ("kernel", "split")
    for testdev in (False, True)
]
DEFAULT = ["acpi", "reset", "pvpanic", "boot-marks", "null", "debugcon", "com1"]
LEGACY = ["com2", "com3", "com4"]


class PlatformRig(Rig):
    def __init__(self, **settings: Any) -> None:
        super().__init__(consoles=["null"], **settings)
        self.devices = build_platform(self.context)

    def _close_devices(self) -> None:
        for device in reversed(self.devices):
            device.close()

    def device(self, name: str) -> Device:
        return next(device for device in self.devices if device.name == name)


def expected(machine: str, irqchip: str, testdev: bool) -> list[str]:
    legacy, split = machine == "legacy", irqchip == "split"
    return [
        *DEFAULT,
        *(LEGACY if legacy else []),
        *(["pit"] if split else []),
        *(["pmtimer", "rtc", "i8042", "hpet"] if legacy else []),
        *(["debug-exit", "testdev", "fw-cfg"] if testdev else []),
        *(("pci-hotplug", "pci", "host-bridge") if legacy or testdev else ("pci-ports",)),
        *(["pci-testdev0"] if testdev else []),
        *(["pic", "ioapic"] if split else []),
    ]


@pytest.fixture(params=KINDS, ids=lambda kind: "-".join(str(value) for value in kind.values()))
def kind(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.param)


def test_names_are_those_of_saved_states(kind: dict[str, Any]) -> None:
    with PlatformRig(**kind) as rig:
        assert sorted(device.name for device in rig.devices) == sorted(expected(**kind))


def test_every_device_survives_a_round_trip_through_json(kind: dict[str, Any]) -> None:
    with PlatformRig(**kind) as rig, PlatformRig(**kind) as other:
        rig.step(1_234_567)
        other.step(1_234_567)
        saved = json.loads(json.dumps({device.name: device.save() for device in rig.devices}))
        for device in other.devices:
            device.load(saved[device.name])

        assert {device.name: device.save() for device in other.devices} == saved


def test_every_state_has_a_version_and_no_other_is_taken(kind: dict[str, Any]) -> None:
    with PlatformRig(**kind) as rig:
        for device in rig.devices:
            saved = device.save()
            assert saved["version"] == 1
            with pytest.raises(StateError, match=device.name):
                device.load(saved | {"version": 2})


def test_every_device_can_be_reset_and_counted(kind: dict[str, Any]) -> None:
    with PlatformRig(**kind) as rig:
        for device in rig.devices:
            device.reset()
            assert all(isinstance(value, int) for value in device.counters().values())


def test_building_and_closing_leaves_no_descriptor_behind(kind: dict[str, Any]) -> None:
    with PlatformRig(**kind):
        pass
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with PlatformRig(**kind):
            pass

    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_devices_made_before_a_failure_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmm.devices.ports.pvpanic", lambda: 1 / 0)
    with Rig(consoles=["null"]) as rig:
        with pytest.raises(ZeroDivisionError):
            build_platform(rig.context)
        monkeypatch.undo()
        for device in build_platform(rig.context):
            device.close()


def test_lines_are_or_ed_when_devices_share_a_gsi() -> None:
    with Rig(consoles=["null"]) as rig:
        lines = [ffi.new("struct irq_line *") for _ in range(2)]
        for line in lines:
            lib.irq_line_init(line, rig.hub, 5)
            lib.irq_line_set(line, 1)
        lib.irq_line_set(lines[0], 0)
        assert rig.take_edges() == [(5, 1)]
        lib.irq_line_set(lines[1], 0)

        assert rig.take_edges() == [(5, 0)]


def test_power_button_is_where_the_machine_looks_for_it(kind: dict[str, Any]) -> None:
    with PlatformRig(**kind) as rig:
        rig.device("acpi").power_button()  # type: ignore[attr-defined]


def test_split_chips_are_connected_to_every_line() -> None:
    with PlatformRig(machine="legacy", irqchip="split", testdev=True) as rig:
        line = ffi.new("struct irq_line *")
        lib.irq_line_init(line, rig.hub, 11)
        lib.irq_line_set(line, 1)

        assert rig.device("pic").save()["irr"] == [0, 1 << 3]
        assert rig.device("ioapic").save()["lines"] == 1 << 11
        lib.irq_line_set(line, 0)


def test_a_second_claim_of_a_port_is_refused_by_name() -> None:
    with (
        PlatformRig(machine="legacy") as rig,
        pytest.raises(VmmError, match="rtc cannot have port 0x70"),
    ):
        rig.device("rtc").claim(rig.pio, rig.mmio)
