"""What the settings of a network card mean, whoever shows it to the guest."""

from __future__ import annotations

import os

from vmm.backends.tap import TapConfig
from vmm.errors import ConfigError
from vmm.native import lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MTU_MIN, MTU_MAX = 68, 65535  # virtio 1.2, 5.1.4.1


def random_mac() -> bytes:
    """Locally administered, of one station."""
    return b"\x52\x54\x00" + os.urandom(3)


def tap_config(settings: dict[str, Any]) -> TapConfig:
    """ConfigError if the settings do not go together."""
    config = TapConfig(
        name=settings["tap"] or "",
        fds=settings["fd"] or (),
        queues=settings["queues"],
        bridge=settings["bridge"] or "",
        address=settings["host-addr"] or "",
        mtu=settings["mtu"] or 0,
    )
    if config.fds and (config.name or config.bridge or config.address or config.queues > 1):
        raise ConfigError("a network device with fd= takes what it gets: no tap=, queues=, bridge=")
    pairs = len(config.fds) or config.queues
    if not 1 <= pairs <= lib.VNET_MAX_PAIRS:
        raise ConfigError(f"a network device has 1 to {lib.VNET_MAX_PAIRS} queues, not {pairs}")
    if config.mtu and not MTU_MIN <= config.mtu <= MTU_MAX:
        raise ConfigError(f"mtu is {config.mtu}; it must be {MTU_MIN} to {MTU_MAX}")
    return config
