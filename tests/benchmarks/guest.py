"""Initramfs files for measured boots: the stock guest's with another first process."""

from __future__ import annotations

from tests.benchmarks.tools import BUILD
from vmm.boot import cache, image
from vmm.lab import guest, initramfs

HELLO, BEGIN, END = b"BENCH-HELLO\r\n", b"BENCH-BEGIN\r\n", b"BENCH-END\r\n"
PAYLOAD = 128 << 10
SLEEP = "exec /bin/busybox sleep 1000\n"
SPEAK = f"""#!/bin/busybox sh
echo BENCH-HELLO
{SLEEP}"""
# The file has no line ends: the tty turns each into two bytes.
POUR = f"""#!/bin/busybox sh
echo BENCH-BEGIN
/bin/busybox dd if=/payload bs=4096 2>/dev/null
echo
echo BENCH-END
{SLEEP}"""
# What diskload says before each of its parts, and at the end.
SINGLE, MANY, LARGE, DISK_END = (
    f"DISK-{part}\r\n".encode() for part in ("SINGLE", "MANY", "LARGE", "END")
)
DISK_DRIVERS = ("virtio_pci", "virtio_blk")
READ_DISK = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
while read -r module; do /bin/busybox insmod /modules/$module; done </modules/order
exec /diskload
"""
PV_DRIVERS = ("xen_blkfront", "xen_netfront")
READ_XEN_DISK = READ_DISK.replace("/diskload", "/diskload /dev/xvda")
HOST_DISK_DRIVERS = ("nvme",)
READ_HOST_DISK = READ_DISK.replace("/diskload", "/diskload /dev/nvme0n1")
NET_DRIVERS = ("virtio_pci", "virtio_net")
NET_HOST, NET_GUEST = "198.51.100.1", "198.51.100.2"
USE_DEVICES = f"""#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
while read -r module; do /bin/busybox insmod "/modules/$module"; done </modules/order
/bin/busybox dd if=/dev/vda of=/dev/null bs=4096 count=1 2>/dev/null || exit
/bin/busybox ifconfig eth0 {NET_GUEST} up || exit
echo BENCH-HELLO
{SLEEP}"""
SERVE = f"""#!/bin/busybox sh
while read -r module; do /bin/busybox insmod "/modules/$module"; done </modules/order
/bin/busybox mount -t proc proc /proc
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
/bin/busybox ifconfig eth0 {NET_GUEST} up
exec /udp serve {NET_GUEST}
"""


def speaking() -> str:
    """Its first process says HELLO at once; the file's path."""
    return _made(initramfs.file("init", SPEAK.encode(), 0o755))


def pouring() -> str:
    """Its first process writes PAYLOAD bytes to the console between BEGIN and END."""
    payload = initramfs.file("payload", b"x" * PAYLOAD)
    return _made(initramfs.file("init", POUR.encode(), 0o755), payload)


def reading() -> str:
    """Its first process reads /dev/vda, 4 KiB alone, 4 KiB 32 at a time, 1 MiB alone."""
    load = initramfs.file("diskload", (BUILD / "diskload").read_bytes(), 0o755)
    init = initramfs.file("init", READ_DISK.encode(), 0o755)
    return _made(init, load, *guest.guest_modules(DISK_DRIVERS))


def reading_xen() -> str:
    """The same with a PV disk."""
    load = initramfs.file("diskload", (BUILD / "diskload").read_bytes(), 0o755)
    init = initramfs.file("init", READ_XEN_DISK.encode(), 0o755)
    return _made(init, load, *guest.guest_modules(PV_DRIVERS[:1]))


def reading_host() -> str:
    """The same with a disk that was handed through."""
    load = initramfs.file("diskload", (BUILD / "diskload").read_bytes(), 0o755)
    init = initramfs.file("init", READ_HOST_DISK.encode(), 0o755)
    return _made(init, load, *guest.guest_modules(HOST_DISK_DRIVERS))


def serving() -> str:
    """Its first process says HELLO and answers datagrams (guests/bench/udp.c)."""
    udp = initramfs.file("udp", (BUILD / "udp").read_bytes(), 0o755)
    init = initramfs.file("init", SERVE.encode(), 0o755)
    return _made(init, udp, *guest.guest_modules(NET_DRIVERS))


def using_devices() -> str:
    """Its first process says HELLO when disk and network card are in use."""
    init = initramfs.file("init", USE_DEVICES.encode(), 0o755)
    return _made(init, *guest.guest_modules((*DISK_DRIVERS, *NET_DRIVERS)))


def using_pv_devices() -> str:
    """The same with those of a Xen domain."""
    init = initramfs.file("init", USE_DEVICES.replace("/dev/vda", "/dev/xvda").encode(), 0o755)
    return _made(init, *guest.guest_modules(PV_DRIVERS))


def prepare() -> None:
    """Makes what would take long on the emulated CPU: the files, the unpacked kernel."""
    speaking()
    pouring()
    reading()
    reading_host()
    reading_xen()
    serving()
    using_devices()
    using_pv_devices()
    kernel = image.identify(str(guest.guest_kernel()))
    kernel.unpack(cache.folder(""))
    kernel.close()


def _made(*entries: initramfs.Entry) -> str:
    return str(guest.guest_initramfs(entries))
