"""Datagrams between a guest and its host over one tap: all that a machine does for each.

In the counted lab time is instructions, the guest's, the kernel's and the monitor's alike, and
somebody always runs: a round trip of 64 bytes, and one of many 1400-byte datagrams that the guest
sends. vmm and QEMU move the packets themselves, or leave it to vhost.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess

from tests.benchmarks import guest, tools
from tests.benchmarks.boot import APPEND, PATIENCE
from tests.benchmarks.process import Failed, Watched, say
from tests.benchmarks.results import Measures
from vmm.lab.kernel import tools as lab_tools

TAP = "bench0"
NOTESTS = f"{APPEND} cryptomgr.notests"
PINGS, DATAGRAMS, SMALL, LARGE = 200, 1000, 64, 1400
WARM = 20
TUNSETIFF, TUNSETPERSIST, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x400454CB, 2, 0x1000


def measure(rounds: int) -> Measures:
    """Nanoseconds, which are instructions, of a round trip and of a datagram.

    The round that does not count is left out: each measurement has a warm-up of its own.
    """
    found = Measures()
    make_tap()
    argvs = subjects(guest.serving())
    for number in range(1, rounds):
        for name, argv in argvs.items():
            say(f"net: {name}, round {number}")
            for what, value in measured(argv).items():
                found.add(f"net/{what}/{name}", value)
    return found


def subjects(initrd: str) -> dict[str, list[str]]:
    return {
        "vmm": vmm_linux(initrd, "off"),
        "qemu pc": qemu_linux(initrd, "off"),
        "vmm vhost": vmm_linux(initrd, "on"),
        "qemu pc vhost": qemu_linux(initrd, "on"),
    }


def vmm_linux(initrd: str, vhost: str) -> list[str]:
    return tools.vmm_linux(NOTESTS, initrd, ("--net", f"tap={TAP},vhost={vhost}"))


def qemu_linux(initrd: str, vhost: str) -> list[str]:
    image = tools.qemu_image(NOTESTS, initrd)
    return tools.pc("-serial", "stdio", *qemu_card(vhost), *image)


def qemu_card(vhost: str) -> tuple[str, ...]:
    return (
        *("-device", "virtio-net-pci,netdev=n,romfile="),
        *("-netdev", f"tap,id=n,ifname={TAP},script=no,downscript=no,vhost={vhost}"),
    )


def measured(argv: list[str]) -> dict[str, float]:
    with Watched(argv) as run:
        run.until(guest.HELLO, PATIENCE)
        asked("ping", WARM, SMALL)
        return {
            "round trip": asked("ping", PINGS, SMALL) / PINGS,
            "send": asked("bulk", DATAGRAMS, LARGE) / DATAGRAMS,
        }


def asked(what: str, count: int, size: int) -> float:
    """Seconds."""
    say(f"net: {what} {count}")
    words = [str(tools.BUILD / "udp"), what, guest.NET_GUEST, str(count), str(size)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(words)}: {done.stderr}")
    return int(done.stdout) / 1e9


def make_tap() -> None:
    """One that stays, for all in turn; the lab is thrown away afterwards."""
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", TAP.encode(), IFF_TAP | IFF_NO_PI))
    fcntl.ioctl(fd, TUNSETPERSIST, 1)
    os.close(fd)
    with open(f"/proc/sys/net/ipv6/conf/{TAP}/disable_ipv6", "w", encoding="ascii") as file:
        file.write("1")
    busybox = str(lab_tools().path / "bin/busybox")
    subprocess.run([busybox, "ifconfig", TAP, guest.NET_HOST, "up"], check=True)
