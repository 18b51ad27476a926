"""What the settings that all virtio devices share mean (vmm/kindtable.py has the table)."""

from __future__ import annotations

from vmm.errors import ConfigError
from vmm.record import replace
from vmm.virtio.transport import TransportConfig, VirtioPci

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from vmm.context import DeviceContext
    from vmm.virtio.device import VirtioDevice


def on_its_loop(context: DeviceContext, settings: Mapping[str, Any]) -> DeviceContext:
    """The context with the loop that is to own the device: `io-thread`, or the next in turn.

    VmmError if the machine has no such thread.
    """
    return replace(context, loop=context.loops.take(settings.get("io-thread")))


def behind_pci(
    context: DeviceContext, device: VirtioDevice, settings: Mapping[str, Any]
) -> VirtioPci:
    """The device with its transport. A failure closes it."""
    transport = TransportConfig(
        notify=settings.get("notify") or "pio",
        platform=settings.get("access-platform") == "on",
        legacy=settings.get("legacy") == "on",
    )
    try:
        if transport.legacy and transport.platform:
            raise ConfigError(
                f"{device.name} cannot have both legacy=on and access-platform=on: drivers of the "
                "legacy interface do not know VIRTIO_F_ACCESS_PLATFORM"
            )
        return VirtioPci(context, device, transport)
    except BaseException:
        device.close()
        raise
