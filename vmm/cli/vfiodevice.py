"""`vmm vfio info` and `reset`: what a bound function has, as a driver would see it; resets."""

from __future__ import annotations

import json
import sys
from typing import Any

from vmm.errors import EXIT_OK
from vmm.record import as_dict
from vmm.texts import write_size
from vmm.vfio import passthrough
from vmm.vfio.device import PciDevice
from vmm.vfio.session import Passthrough
from vmm.vfio.sysfs import bound

INFO = """Open the functions at ADDRESS and tell their regions, interrupts, resets and DMA ranges.

They must be bound to vfio-pci. Opening a function resets it where that is possible.
"""
RESET = """Reset the functions at ADDRESS, which must be bound to vfio-pci and not in use.

--hot resets the bus that a function is on, if all functions there are in its IOMMU group.
"""


def opened(address: str) -> Passthrough:
    """HostError if the function is not bound: these commands take nothing away from the host."""
    return passthrough(bound(address).address)


def described(device: PciDevice) -> dict[str, Any]:
    return {
        "address": device.address,
        "interface": device.iommu.name,
        "regions": [as_dict(region.info) for region in device.regions.values()],
        "interrupts": [
            {
                "name": one.name,
                "count": one.count,
                "maskable": one.maskable,
                "automasked": one.automasked,
                "resizable": one.resizable,
            }
            for one in device.interrupts.values()
        ],
        "reset": device.resettable,
        "hot_reset": [as_dict(one) for one in device.hot_reset_set()],
        "dma_ranges": [list(span) for span in device.iommu.ranges()],
        "page_size": device.iommu.page_size(),
    }


def as_text(device: PciDevice) -> str:
    one = device.function
    lines = [f"{one.address} ({one.ids}, {one.kind}) through {device.iommu.name}"]
    for region in device.regions.values():
        info = region.info
        words = ["read" if info.readable else "", "write" if info.writable else ""]
        words += [f"map {start:#x}+{size:#x}" for start, size in info.areas]
        spans = " ".join(filter(None, words))
        lines.append(f"  region {info.name:<9} {write_size(info.size):<6} {spans}")
    for interrupt in device.interrupts.values():
        lines.append(f"  interrupt {interrupt.name:<6} {interrupt.count}")
    lines.append(f"  reset of the function: {'yes' if device.resettable else 'no'}")
    hot = [f"{a.address}{'' if a.owned else ' (not its group)'}" for a in device.hot_reset_set()]
    lines.append(f"  reset of the bus: {', '.join(hot) or 'no'}")
    spans = ", ".join(f"{first:#x} to {last:#x}" for first, last in device.iommu.ranges())
    lines.append(f"  memory for DMA: {spans}")
    return "\n".join(lines) + "\n"


def info_functions(options: dict[str, Any]) -> int:
    found, text = [], ""
    for address in options["addresses"]:
        with opened(address) as device:
            found.append(described(device))
            text += as_text(device)
    sys.stdout.write(json.dumps(found, indent=2) + "\n" if options.get("json") else text)
    return EXIT_OK


def reset_functions(options: dict[str, Any]) -> int:
    done: list[dict[str, Any]] = []
    for address in options["addresses"]:
        with opened(address) as device:
            done.append({"address": device.address, "reset": _reset(device, options)})
    if options.get("json"):
        sys.stdout.write(json.dumps(done, indent=2) + "\n")
    else:
        verb = "would reset" if options.get("dry_run") else "reset"
        sys.stdout.write("".join(f"{verb} {', '.join(one['reset'])}\n" for one in done))
    return EXIT_OK


def _reset(device: PciDevice, options: dict[str, Any]) -> list[str]:
    """What is reset, or with --dry-run would be."""
    if not options.get("hot"):
        if not options.get("dry_run") or not device.resettable:
            device.reset()
        return [device.address]
    if options.get("dry_run"):
        return [one.address for one in device.resettable_bus()]
    return [one.address for one in device.hot_reset()]
