"""The PCI functions that the lab has for the tests of VFIO, and where each stands."""

from __future__ import annotations

EDU, CARD, DISK = "0000:00:10.0", "0000:00:11.0", "0000:00:12.0"
# Behind one bridge, so in one group: an edu, and a card whose driver makes the group unusable.
BRIDGE, SHARED_EDU, SHARED_CARD = "0000:00:14.0", "0000:01:01.0", "0000:01:02.0"
DISK_SIZE = 1 << 20

_DEVICES = (
    *("edu,addr=0x10", "e1000e,addr=0x11", "nvme,drive=vfio-disk,serial=vfio,addr=0x12"),
    *("pcie-pci-bridge,id=vfio-bridge,addr=0x14", "edu,bus=vfio-bridge,addr=1"),
    "rtl8139,bus=vfio-bridge,addr=2",
)
LAB_ARGUMENTS = (
    "--qemu-arg=-blockdev",
    f"--qemu-arg=driver=null-co,node-name=vfio-disk,size={DISK_SIZE},read-zeroes=on",
    *(word for device in _DEVICES for word in ("--device", device)),
)
