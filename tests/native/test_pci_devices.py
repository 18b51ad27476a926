"""pci-testdev and the hot-plug registers against their models; devices as wholes on the bus."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.native.devrig import DeviceRig, Mix, Rig, compare
from tests.native.pcirig import COMMAND, PciRig
from tests.native.twins.pci import PortTestTwin
from vmm import layout
from vmm.cdevice import CDevice
from vmm.deviceconfig import DeviceConfig
from vmm.devices.platform import build_platform
from vmm.errors import StateError, VmmError
from vmm.native import lib
from vmm.pci import slots
from vmm.pci.hotplug import HotplugRegisters
from vmm.pci.testdev import PciTestdev

MEMORY, PORTS = range(2)
CAME, GO, EJECT = 0, 4, 8
BASES = {MEMORY: 0xC000_0000, PORTS: 0x6000}


def rig_of_testdev() -> DeviceRig:
    claims = [
        ("mmio", BASES[MEMORY], 4096, lib.PCITEST_MEMORY),
        ("pio", BASES[PORTS], 256, lib.PCITEST_PORTS),
    ]
    return DeviceRig(lambda _c: CDevice("testdev", lib.pcitest_create(), claims, kind="pcitest"))


@pytest.mark.parametrize("seed", range(8))
def test_testdev_agrees_with_the_model(seed: int) -> None:
    rng, twin = random.Random(seed), PortTestTwin()
    headers = Mix({MEMORY: 64, PORTS: 64}, sizes=(1, 2, 4))
    everywhere = Mix({MEMORY: 4096, PORTS: 256}, sizes=(1, 2, 4))
    with rig_of_testdev() as rig:
        for _ in range(1500):
            if rng.random() < 0.2:
                region, test = rng.randrange(2), rng.randrange(5)
                rig.write(region, 0, test)
                twin.write(region, 0, test, 1)
            elif rng.random() < 0.3:
                region, test = rng.randrange(2), rng.randrange(3)
                at, value = lib.pcitest_offset(region, test), rng.choice((0xFA, 0xCE))
                rig.write(region, at, value)
                twin.write(region, at, value, 1)
            else:
                mix = rng.choice((headers, everywhere))
                mix.access(rng, rig, twin, rng.choice((0xFA, 0xCE, rng.getrandbits(32))))
            compare(rig, twin)


@pytest.mark.parametrize("change", [{"version": 2}, {"current": -2}, {"current": 6}])
def test_testdev_refuses_states_it_cannot_be_in(change: dict[str, int]) -> None:
    with rig_of_testdev() as rig:
        rig.write(PORTS, 0, 2)
        saved = rig.save()
        with pytest.raises(StateError):
            rig.device.load(saved | change)
        rig.device.reset()
        rig.device.load(saved)
        assert rig.save() == saved == {"version": 1, "current": 5, "count": 0}


def test_testdev_decodes_from_the_start_and_says_what_it_is() -> None:
    with PciRig() as rig:
        device = PciTestdev("t", extra=1 << 30)
        rig.root.plug(device.function, 8)
        bars = device.function.mappings
        assert rig.space(8, 0, 8) == 0x3_0005_1B36
        assert rig.space(8, 8, 4) >> 8 == 0x00FF00
        rig.poke(bars[0].base or 0, 1, 1)
        assert rig.memory((bars[0].base or 0) + 1) == 1
        assert rig.port((bars[1].base or 0) + 8) == 0xCE
        assert (bars[2].base, bars[2].bar.size) == (layout.PCI_MMIO64, 1 << 30)
        rig.space(8, COMMAND, 2, 0)
        device.reset()
        assert rig.space(8, COMMAND, 2) == 3
        assert device.rung(lib.PCITEST_MEMORY, lib.PCITEST_WILDCARD) == 0
        device.close()
        assert rig.space(8, 0, 2) == 0xFFFF


def hotplug_rig() -> DeviceRig:
    return DeviceRig(lambda _context: HotplugRegisters())


def test_hotplug_registers_tell_once_and_ask_for_an_ejection() -> None:
    with hotplug_rig() as rig:
        rig.device.came(5)
        rig.device.came(31)
        rig.device.shall_go(1)
        assert rig.save() == {"version": 1, "up": 1 << 31 | 1 << 5, "down": 2}
        assert rig.read(0, CAME, 4) == 1 << 31 | 1 << 5
        assert rig.read(0, CAME, 4) == 0
        assert rig.read(0, GO, 4) == 2
        assert rig.write(0, EJECT, 2, 4) == lib.DEV_EVENT_EJECT
        assert rig.read(0, EJECT, 4) == 0
        assert rig.device.asked == {1}
        rig.device.left(1)
        assert rig.device.asked == set()


@pytest.mark.parametrize(("offset", "size"), [(0, 1), (0, 2), (2, 2), (5, 1), (8, 2), (2, 4)])
def test_hotplug_registers_answer_whole_words_only(offset: int, size: int) -> None:
    with hotplug_rig() as rig:
        rig.device.came(3)
        rig.device.shall_go(3)
        assert rig.write(0, offset, 0xFFFF_FFFF >> (32 - 8 * size), size) == 0
        rig.read(0, offset, size)
        assert rig.save() == {"version": 1, "up": 8, "down": 8}


@pytest.mark.parametrize(("offset", "value"), [(CAME, 4), (GO, 4), (EJECT, 0)])
def test_other_writes_to_hotplug_registers_do_nothing(offset: int, value: int) -> None:
    with hotplug_rig() as rig:
        assert rig.write(0, offset, value, 4) == 0
        assert rig.save() == {"version": 1, "up": 0, "down": 0}


def test_hotplug_registers_forget_at_reset_and_come_back_from_a_state() -> None:
    with hotplug_rig() as rig:
        rig.device.came(4)
        saved = rig.save()
        rig.device.reset()
        assert rig.save() == {"version": 1, "up": 0, "down": 0}
        rig.device.load(saved)
        assert rig.save() == saved
        with pytest.raises(StateError):
            rig.device.load(saved | {"version": 2})


# --- devices in slots


def placed(**settings: Any) -> dict[str, str]:
    """Name and address of everything on the bus of a machine."""
    with Rig(consoles=["null"], **settings) as rig:
        devices = build_platform(rig.context)
        root: Any = next(device for device in devices if device.name == "pci")
        found = {function.name: function.address for function in root.functions.values()}
        for device in reversed(devices):
            device.close()
        return found


def test_devices_get_their_slots_and_the_others_the_next_free_ones() -> None:
    devices = ["pci-testdev", "pci-testdev,addr=1,id=first", "pci-testdev,addr=1.7", "pci-testdev"]

    assert placed(devices=devices, testdev=True) == {
        "host-bridge": "00:00.0",
        "pci-testdev0": "00:02.0",
        "first": "00:01.0",
        "pci-testdev1": "00:01.7",
        "pci-testdev2": "00:03.0",
        "pci-testdev3": "00:04.0",
    }


def test_a_bus_is_full_with_31_devices() -> None:
    with pytest.raises(VmmError, match="All 32 slots"):
        placed(devices=["pci-testdev"] * 32)


def test_a_device_cannot_have_a_platform_devices_name() -> None:
    with pytest.raises(VmmError, match="two devices called com1"):
        placed(devices=["pci-testdev,id=com1"])


@pytest.mark.parametrize("failing", ["vmm.pci.testdev:make", "vmm.pci.slots:plug"])
def test_a_machine_that_fails_to_build_gives_everything_back(
    failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    module, _, name = failing.partition(":")

    def fail(*_arguments: object) -> Callable[[], None]:
        raise VmmError("no")

    monkeypatch.setattr(f"{module}.{name}", fail)
    with Rig(consoles=["null"], devices=["pci-testdev"]) as rig:
        with pytest.raises(VmmError, match="no"):
            build_platform(rig.context)
        monkeypatch.undo()
        for device in reversed(build_platform(rig.context)):
            device.close()
        assert rig.context.upcalls == []
    del rig
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_device_is_saved_with_its_parts() -> None:
    with PciRig() as rig:
        device = slots.make(rig.context, DeviceConfig(kind="pci-testdev", id="t"))
        slots.plug(rig.root, device, "3")
        saved = device.save()
        assert set(saved) == {"version", "function", "registers"}
        device.load(saved)
        wrong: dict[str, Any]
        for wrong in ({"version": 2}, {"more": {}}):
            with pytest.raises(StateError, match="version or parts"):
                device.load(saved | wrong)
        del saved["registers"]
        with pytest.raises(StateError, match="version or parts"):
            device.load(saved)
        device.close()
