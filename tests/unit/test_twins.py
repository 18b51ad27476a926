"""Devices with bus=both: what is left when the host refuses a part of the change."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vmm import twins
from vmm.config import VmConfig
from vmm.errors import HostError

PLACE = 3 << 3


class Hardware:
    """Devices by name, as far as a change needs them."""

    def __init__(self) -> None:
        self.config = VmConfig.of(kernel="k", xen=True, disks=["disk.img,bus=both,id=one"])
        self.xen = SimpleNamespace(services=SimpleNamespace(twins={}))
        function = SimpleNamespace(address="00:03.0", devfn=PLACE)
        self.devices: dict[str, Any] = {"one": SimpleNamespace(name="one", function=function)}

    def device(self, name: str) -> Any:
        return self.devices.get(name)

    def remove_device(self, device: Any) -> None:
        del self.devices[device.name]


@pytest.fixture
def hardware(monkeypatch: pytest.MonkeyPatch) -> Any:
    def begin(*_all: object) -> None:
        raise HostError("no descriptors left")

    monkeypatch.setattr(twins, "_begin", begin)
    return Hardware()


def plug(hardware: Any, config: Any, place: int) -> None:
    assert place == PLACE
    hardware.devices[config.id] = "again"


def refuse(*_all: object) -> None:
    raise HostError("none for the first one either")


def test_device_stays_when_there_is_no_room_for_the_other(
    hardware: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twins, "_plug", plug)
    assert twins.hand_over(hardware, 0xFFFF) == []
    assert hardware.devices == {"one": "again"}
    assert hardware.xen.services.twins == {}


def test_device_that_neither_has_room_for_comes_back_with_a_reset(
    hardware: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twins, "_plug", refuse)
    assert twins.hand_over(hardware, 0xFFFF) == [{"device": "one", "address": "00:03.0"}]
    assert hardware.devices == {}
    monkeypatch.setattr(twins, "_plug", plug)
    twins.give_back(hardware)
    assert hardware.devices == {"one": "again"}
    assert hardware.xen.services.twins == {}
