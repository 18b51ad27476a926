"""What devices of other packages are made from: promised like the names in `vmm` itself.

docs/extending.md shows a virtio and a PCI device, each whole.
"""

from __future__ import annotations

from vmm.kindtable import param
from vmm.pci.function import Ident
from vmm.pci.served import ServedPciDevice
from vmm.virtio.chain import Chain, ServedQueue
from vmm.virtio.make import behind_pci, on_its_loop
from vmm.virtio.served import ServedDevice

__all__ = [
    "Chain",
    "Ident",
    "ServedDevice",
    "ServedPciDevice",
    "ServedQueue",
    "behind_pci",
    "on_its_loop",
    "param",
]
