"""Disks and cards with bus=both: PCI devices until a Xen guest unplugs them, then PV devices.

Only one of the two is there at any time: the PCI function is taken out, and all that it uses on the
host is let go of, before the PV device appears in xenstore. A reset brings the first one back.
Context: the machine's lifecycle lock.
"""

from __future__ import annotations

import os

from vmm import kinds, log
from vmm.deviceconfig import DISK, bus_of
from vmm.errors import VmmError
from vmm.pci import slots
from vmm.record import Record, replace
from vmm.xen.platform import UNPLUG_AUX_DISKS, UNPLUG_DISKS, UNPLUG_NICS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.config import VmConfig
    from vmm.deviceconfig import DeviceConfig
    from vmm.hardware import Hardware
    from vmm.xen.services import Service

OF_TAPS = ("tap", "queues", "bridge", "host-addr")  # what a tap that is open has already


class Twin(Record):
    """`device` has its name. index: of the PV device among those of its kind. bits: UNPLUG_*."""

    device: DeviceConfig
    index: int
    bits: int


def planned(config: VmConfig) -> list[Twin]:
    """What a configuration has of such devices."""
    named = {
        id(device): replace(device, id=name.id)
        for device, name in zip(
            kinds.wanted(config), kinds.with_names(kinds.wanted(config)), strict=True
        )
    }
    found: list[Twin] = []
    for devices, bits, others in (
        (config.disks, UNPLUG_DISKS, UNPLUG_AUX_DISKS),
        (config.nets, UNPLUG_NICS, 0),
    ):
        pv = [device for device in devices if bus_of(device) != "virtio"]
        for index, device in enumerate(pv):
            if bus_of(device) == "both":
                found.append(Twin(device=named[id(device)], index=index, bits=bits))
                bits |= others  # all but the first
    return found


def meant(config: VmConfig) -> int:
    """UNPLUG_* that take something away."""
    mask = 0
    for twin in planned(config):
        mask |= twin.bits
    return mask


def hand_over(hardware: Hardware, mask: int) -> list[dict[str, object]]:
    """Puts PV devices in the place of those that `mask` means; what left, as events tell it.

    One that the host does not let us have once more stays what it was, or is away until a reset.
    """
    gone: list[dict[str, object]] = []
    for twin in planned(hardware.config):
        device: Any = hardware.device(twin.device.id)
        if not twin.bits & mask or device is None:
            continue
        left = {"device": device.name, "address": device.function.address}
        try:
            _hand_over(hardware, twin, device)
        except (VmmError, OSError) as error:
            log.limited("xen.device_not_handed_over", **left, error=str(error))
        if hardware.device(twin.device.id) is None:
            gone.append(left)
    return gone


def _hand_over(hardware: Hardware, twin: Twin, device: Any) -> None:
    assert hardware.xen is not None
    taken, place = hardware.xen.services.twins, device.function.devfn
    with _Kept(twin.device, device) as config:
        taken[config.id] = None, place
        hardware.remove_device(device)
        try:
            taken[config.id] = _begin(hardware, twin, config), place
        except BaseException:
            _plug(hardware, config, place)
            del taken[config.id]
            raise


def _begin(hardware: Hardware, twin: Twin, config: DeviceConfig) -> Service:
    from vmm.xen import blk, net

    assert hardware.xen is not None
    services = hardware.xen.services
    make = blk.make if config.kind == DISK else net.make
    service = make(hardware.context, twin.index, config, services.grants.pointer)
    hardware.context.loop.ask(lambda: services.add(service))  # where xenstore is served
    return service


def give_back(hardware: Hardware) -> None:
    """The PCI devices are there again. All vCPUs are parked; a reset follows."""
    assert hardware.xen is not None
    services = hardware.xen.services
    for twin in planned(hardware.config):
        if twin.device.id not in services.twins:
            continue
        service, place = services.twins.pop(twin.device.id)
        if service is None:
            _plug(hardware, twin.device, place)
            continue
        with _Kept(twin.device, service) as config:
            services.drop(service)
            _plug(hardware, config, place)


def _plug(hardware: Hardware, config: DeviceConfig, place: int) -> None:
    root: Any = hardware.device("pci")
    device = slots.make(hardware.context, config)
    try:
        slots.plug(root, device, f"{place >> 3:x}.{place & 7:x}")
    except BaseException:
        device.close()
        raise
    hardware.add_device(device)


class _Kept:
    """How the one that follows is to be made: with the same tap and the same address, which it
    finds open while this is entered.
    """

    def __init__(self, config: DeviceConfig, old: Any) -> None:
        self._config, self._old = config, old
        self._fds: list[int] = []

    def __enter__(self) -> DeviceConfig:
        config = self._config
        if config.kind == DISK:
            return config
        card = getattr(self._old, "device", self._old)
        try:
            for fd in card.tap.fds:
                self._fds.append(os.dup(fd.number))
        except BaseException:
            self.__exit__()
            raise
        mac = card.mac if isinstance(card.mac, str) else card.mac.hex(":")
        params = {k: v for k, v in config.params if k not in OF_TAPS}
        params |= {"fd": ":".join(str(fd) for fd in self._fds), "mac": mac}
        return replace(config, params=tuple(params.items()))

    def __exit__(self, *_exception: object) -> None:
        for fd in self._fds:
            os.close(fd)
