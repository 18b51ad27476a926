"""virtio-net: network cards on taps, served here or by the kernel's vhost."""

from __future__ import annotations

from vmm import log
from vmm.backends.card import random_mac, tap_config
from vmm.backends.tap import Tap, open_tap
from vmm.backends.vhost import OWN, VhostNet, available
from vmm.errors import ConfigError, HostError
from vmm.native import ffi, lib
from vmm.virtio.device import VirtioDevice
from vmm.virtio.make import behind_pci, on_its_loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.context import DeviceContext
    from vmm.deviceconfig import DeviceConfig
    from vmm.virtio.transport import VirtioPci

NETWORK_ETHERNET = 0x020000  # PCI class
EVERYTHING = (1 << 64) - 1
NO_FD = -1


class Net(VirtioDevice):
    """A card on `tap`, which it owns from here on, and its kernel side `vhost`, if that serves it.

    mac: six bytes. mtu: what the driver is told, 0 for nothing.
    """

    kind = "vnet"
    pci_class = NETWORK_ETHERNET
    kernel_option = "CONFIG_VIRTIO_NET"

    def __init__(
        self,
        name: str,
        context: DeviceContext,
        tap: Tap,
        *,
        mac: bytes,
        mtu: int = 0,
        vhost: VhostNet | None = None,
    ) -> None:
        self.tap, self.vhost, self.mac = tap, vhost, mac
        pairs = len(tap.fds)
        unused = [NO_FD] * (lib.VNET_MAX_PAIRS - pairs)
        theirs = [NO_FD] * pairs if vhost is None else [fd.number for fd in vhost.fds]
        known = EVERYTHING if vhost is None else EVERYTHING & ~(OWN & ~vhost.features)
        setup = ffi.new(
            "struct vnet_setup *",
            {
                "mem": context.memory.pointer,
                "loop": context.loop.pointer,
                "pairs": pairs,
                "fd": [fd.number for fd in tap.fds] + unused,
                "vhost_fd": theirs + unused,
                "tap": tap.is_tap,
                "offloads": tap.offloads,
                "allowed": known,
                "vhost_features": 0 if vhost is None else vhost.features,
                "mac": mac,
                "mtu": mtu,
            },
        )
        super().__init__(name, context, lib.vnet_create(setup))

    def counters(self) -> dict[str, int]:
        """Packets and bytes both ways, drops, waits, commands; `vhost_rings` served by the kernel,
        whose packets are not counted here."""
        counters = ffi.new("struct vnet_counters *")
        lib.vnet_counters(self.pointer, counters)
        counted = {name: getattr(counters.all, name) for name in dir(counters.all)}
        names = ("control", "control_refused", "lost", "vhost_rings")
        return counted | {name: getattr(counters, name) for name in names}

    def close(self) -> None:
        super().close()
        if self.vhost is not None:
            self.vhost.close()
        self.tap.close()


def choose_vhost(mode: str, tap: Tap) -> VhostNet | None:
    """Who serves a card on `tap`: the kernel, or None for this process.

    auto goes on without a vhost that is there but refuses. ConfigError, HostError with on.
    """
    if mode == "on":
        if not tap.is_tap:
            raise ConfigError("vhost=on needs a tap, and fd= is a socket; use vhost=off")
        return VhostNet(len(tap.fds))
    if mode == "off" or not tap.is_tap or not available():
        return None
    try:
        return VhostNet(len(tap.fds))
    except HostError as error:
        log.warning("net.without_vhost", tap=tap.name, why=str(error))
        return None


def make(context: DeviceContext, config: DeviceConfig, settings: dict[str, Any]) -> VirtioPci:
    """`--net` and `--device virtio-net`."""
    if settings["bus"] == "xen":
        raise ConfigError(f"{config.id} has bus=xen; that can be said with --net only, at start")
    context = on_its_loop(context, settings)
    wanted = tap_config(settings)
    tap = open_tap(wanted)
    vhost: VhostNet | None = None
    try:
        vhost = choose_vhost(settings["vhost"], tap)
        mac = settings["mac"] or random_mac()
        net = Net(config.id, context, tap, mac=mac, mtu=wanted.mtu, vhost=vhost)
    except BaseException:
        if vhost is not None:
            vhost.close()
        tap.close()
        raise
    return behind_pci(context, net, settings)
