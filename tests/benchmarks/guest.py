"""Initramfs files for measured boots: the stock guest's with another first process."""

from __future__ import annotations

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


def speaking() -> str:
    """Its first process says HELLO at once; the file's path."""
    return _made(initramfs.file("init", SPEAK.encode(), 0o755))


def pouring() -> str:
    """Its first process writes PAYLOAD bytes to the console between BEGIN and END."""
    payload = initramfs.file("payload", b"x" * PAYLOAD)
    return _made(initramfs.file("init", POUR.encode(), 0o755), payload)


def prepare() -> None:
    """Makes what would take long on the emulated CPU: both files, the unpacked kernel."""
    speaking()
    pouring()
    kernel = image.identify(str(guest.guest_kernel()))
    kernel.unpack(cache.folder(""))
    kernel.close()


def _made(*entries: initramfs.Entry) -> str:
    return str(guest.guest_initramfs(entries))
