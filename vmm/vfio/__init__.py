"""PCI functions of the host, handed to a program or a guest through VFIO.

    from vmm.vfio import passthrough

    with passthrough("0000:03:00.0") as device:
        registers = device.regions["bar0"].map()
        print(hex(registers.read(0, 4)))

From the bottom up: sysfs: what functions there are; usage: what the host does with them; check: why
one would not work, and what mends it; journal, bind: taking and giving back; asking, devicefd: a
device's descriptor; iommu: memory for DMA, with type1 and iommufd, the kernel's two interfaces;
region, interrupt, device: what a driver works with; session: all of it in one `with`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.vfio.iommu import Iommu
    from vmm.vfio.session import Passthrough


def passthrough(
    address: str,
    *,
    group: bool = False,
    force: bool = False,
    api: str = "auto",
    iommu: Iommu | None = None,
) -> Passthrough:
    """A context manager that gives a PciDevice: binds the function if need be, opens it.

    At the end everything is closed, and what was bound here goes back to its driver.
    group: bind all functions of its IOMMU group. force: take it also while the host uses it (never
    its root disk or last network link). api: "legacy", "iommufd", or what the host has. iommu: of
    another device, so that both see the same memory. HostError and VfioError say what failed.
    """
    from vmm.vfio.session import Passthrough

    return Passthrough(address, group, force, api, iommu)
