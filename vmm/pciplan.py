"""Whether a machine has a PCI bus. Pure.

A bus that stays empty costs a stock kernel 13 million instructions at its start, and us as many.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.config import VmConfig


def occupied(config: VmConfig) -> bool:
    """Whether the configuration puts anything on the bus."""
    devices = config.devices or config.disks or config.nets or config.ports
    others = config.rng or config.testdev or config.xen  # whose platform device is on it
    return bool(devices) or others or any(console.virtio for console in config.consoles)


def has_bus(config: VmConfig) -> bool:
    """Left to us: if there is something on it, or may come through the control socket, or if the
    machine is to be like those that always had one."""
    if config.pci != "auto":
        return config.pci == "on"
    return config.machine == "legacy" or bool(config.state_dir) or occupied(config)
