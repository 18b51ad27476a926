"""The PCI functions that the lab has for the tests of VFIO, and where each stands."""

from __future__ import annotations

EDU, CARD, DISK = "0000:00:10.0", "0000:00:11.0", "0000:00:12.0"
# Behind one bridge, so in one group: an edu, and a card whose driver makes the group unusable.
BRIDGE, SHARED_EDU, SHARED_CARD = "0000:00:14.0", "0000:01:01.0", "0000:01:02.0"
DISK_SIZE = 1 << 20
# For guests: a disk that keeps what is written, three cards and the host's own at the other end of
# their wire. The second has nothing but a level interrupt; the third is a virtio one whose DMA goes
# through the IOMMU.
STORE, STORE_SIZE = "0000:00:13.0", 320 << 20
WIRED, LEVEL, PEER = "0000:00:15.0", "0000:00:16.0", "0000:00:17.0"
MODERN = "0000:00:18.0"
# With a register larger than a guest has room for.
HUGE = "0000:00:19.0"
REPORTING = "0000:02:00.0"  # a card behind a port that hears of its errors
FUNCTIONS = (EDU, CARD, DISK, SHARED_CARD, SHARED_EDU, STORE, WIRED, LEVEL, MODERN, HUGE, REPORTING)

_DEVICES = (
    *("edu,addr=0x10", "e1000e,addr=0x11", "nvme,drive=vfio-disk,serial=vfio,addr=0x12"),
    *("pcie-pci-bridge,id=vfio-bridge,addr=0x14", "edu,bus=vfio-bridge,addr=1"),
    *("rtl8139,bus=vfio-bridge,addr=2", "nvme,drive=vfio-store,serial=store,addr=0x13"),
    *("e1000e,netdev=wire0,addr=0x15", "rtl8139,netdev=wire1,addr=0x16"),
    "e1000e,netdev=wire2,addr=0x17",
    "virtio-net-pci,netdev=wire3,iommu_platform=on,disable-legacy=on,addr=0x18",
    *("pci-testdev,membar=32G,addr=0x19", "pcie-root-port,id=vfio-port,addr=0x1a"),
    "igb,bus=vfio-port",
)
_WIRE = tuple(
    word
    for n in range(4)
    for word in ("--qemu-arg=-netdev", f"--qemu-arg=hubport,id=wire{n},hubid=1")
)
LAB_ARGUMENTS = (
    "--qemu-arg=-blockdev",
    f"--qemu-arg=driver=null-co,node-name=vfio-disk,size={DISK_SIZE},read-zeroes=on",
    "--qemu-arg=-drive",
    "--qemu-arg=if=none,id=vfio-store,file.driver=null-co,format=raw,file.read-zeroes=on,"
    f"file.size={STORE_SIZE},snapshot=on",
    *_WIRE,
    *(word for device in _DEVICES for word in ("--device", device)),
)
