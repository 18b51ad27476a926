"""One stock Debian kernel with every device at once, all of them busy; then it crashes."""

from __future__ import annotations

import filecmp
import hashlib
import random
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from tests.linux.consoleguest import NAMES, PATIENCE, Guest, echo_through, guest
from tests.linux.images import MIB, ext4, host_mount, image, loop_device
from tests.linux.namespace import GUEST, HOST, TAP, inside, listen, move, namespace

pytestmark = pytest.mark.needs("kvm", "stock-kernel", "root", "tap")

MODULES = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic", "virtio_net", "virtio_rng")
WIRE = 5001  # TCP port
SPOKEN = 256 << 10  # bytes through hvc0: a terminal is slow
# One line each, as orders are. The file is read back from the disk, not from the cache.
FILE = (
    "{ cp /dev/vdb /disk/bulk; sync; echo written=yes; echo 3 >/proc/sys/vm/drop_caches; "
    "until [ -e /tmp/middle ]; do usleep 10000; done; echo read=`sha256sum </disk/bulk`; } &"
)
DRAW = (
    "{ while [ ! -e /tmp/enough ]; do dd if=/dev/hwrng of=/tmp/drawn bs=4k count=8 2>/dev/null; "
    "usleep 200000; done; echo drawn=`wc -c </tmp/drawn`; } &"
)
SET_UP = (
    "mkdir /disk; mount -t ext4 /dev/vda /disk && echo 1048576 >/proc/sys/vm/dirty_background_bytes"
    f"; ifconfig eth0 {GUEST} up; exec 4<>/dev/hvc0; stty raw -echo <&4"
    "; cat /sys/class/misc/hw_random/rng_current"
)


class Traffic(threading.Thread):
    """Sends `data` and compares what comes back: half of it, the rest after `middle`.

    And again all of it, until `enough` if there is such an event.
    """

    def __init__(
        self,
        peer: socket.socket,
        data: bytes,
        middle: threading.Event,
        enough: threading.Event | None = None,
    ) -> None:
        super().__init__(daemon=True)
        self.peer, self.data, self.middle, self.enough = peer, data, middle, enough
        self.same = True

    def run(self) -> None:
        half = len(self.data) // 2
        self.echo(self.data[:half])
        self.middle.wait()
        self.echo(self.data[half:])
        while self.enough and not self.enough.wait(0.2):
            self.echo(self.data)

    def echo(self, data: bytes) -> None:
        self.same = echo_through(self.peer, data) == data and self.same


def moved(guest: Guest) -> dict[str, int]:
    """What each data path has moved, in requests or bytes."""
    found = {device.name: device.counters() for device in guest.machine.hardware.devices}
    disk, card, console, rng = (
        found[f"virtio-{kind}0"] for kind in ("blk", "net", "console", "rng")
    )
    ways = ("rx_bytes", "tx_bytes")
    ports = {f"{name}_{way}" for name in ("hvc", *NAMES) for way in ways}
    return {
        "disk": disk["reads"] + disk["writes"],
        "random": rng["random_bytes"],
        **{way: card[way] for way in ways},
        **{name: console[name] for name in ports},
    }


@pytest.mark.parametrize(
    ("append", "io_threads", "file_mib", "port_mib"),
    [pytest.param("", 1, 256, 16, id="msix"), pytest.param("pci=nomsi", 3, 16, 2, id="intx")],
)
def test_everything_at_once_and_a_crash(
    append: str, io_threads: int, file_mib: int, port_mib: int, tmp_path: Path
) -> None:
    disk, source = ext4(image(tmp_path, (file_mib + 64) * MIB)), content(tmp_path, file_mib)
    hvc = f"name=hvc,nr=0,console,socket={tmp_path}/hvc.sock"
    devices = {
        "timeout": "900",
        "disks": [str(disk), f"{source},ro"],
        "nets": [f"tap={TAP},vhost=off"],
        "rng": True,
        "io_threads": io_threads,
    }
    echoed = {"hvc": SPOKEN, **dict.fromkeys(NAMES, port_mib * MIB)}
    with (
        namespace() as wire,
        guest(tmp_path, hvc, modules=MODULES, append=append, **devices) as running,
    ):
        use(running, begin(running, wire, echoed), echoed)
        running.order("echo lost >/disk/later; echo c >/proc/sysrq-trigger")
        assert running.machine.wait(PATIENCE).cause == "panic"
        check_counters(running)
        answers = said(running)

    with source.open("rb") as file:
        assert answers["read"] == hashlib.file_digest(file, "sha256").hexdigest()
    assert answers["drawn"] == str(32 << 10)
    with loop_device(disk) as device:
        with host_mount(device, tmp_path / "disk") as folder:
            assert filecmp.cmp(folder / "bulk", source, shallow=False)
        subprocess.run(["/sbin/e2fsck", "-fn", device], check=True)


def content(folder: Path, mib: int) -> Path:
    """Bytes for a file, no MiB like another."""
    path, block = folder / "source", random.Random(mib).randbytes(2 * MIB)
    with path.open("wb") as file:
        for number in range(mib):
            file.write(block[4096 * number : 4096 * number + MIB])
    return path


def begin(guest: Guest, wire: str, echoed: dict[str, int]) -> dict[str, socket.socket]:
    """Everything is there, set up and open; nothing moves yet. The host's end of each echo."""
    move(TAP, wire)
    assert "virtio_rng.0" in guest.do(SET_UP)
    with inside(wire, lambda: listen(WIRE)) as server:
        guest.order(f"nc {HOST} {WIRE} -e cat &")
        card = server.accept()[0]
    card.settimeout(PATIENCE)
    peers = {name: guest.connect(name) for name in echoed}
    for name, size in echoed.items():
        guest.order(f"portio echo {'/dev/hvc0' if name == 'hvc' else name} {size} &")
    ports = guest.machine.ports
    guest.until(lambda: all(ports.find(name)[1].guest_open for name in echoed), "open ports")
    return {**peers, "card": card}


def use(guest: Guest, peers: dict[str, socket.socket], echoed: dict[str, int]) -> None:
    """All of it at once, until the slowest has ended; without a word to Python."""
    seed, middle, enough = random.Random(7), threading.Event(), threading.Event()
    traffic = [Traffic(peers[name], seed.randbytes(size), middle) for name, size in echoed.items()]
    traffic.append(Traffic(peers["card"], seed.randbytes(MIB // 4), middle, enough))
    before, upcalls, posted = moved(guest), guest.upcalls(), guest.posted()
    guest.order(DRAW)
    guest.order(FILE)
    for thread in traffic:
        thread.start()
    guest.until(lambda: grown(before, moved(guest)), "traffic on everything")
    half = moved(guest)
    assert guest.posted() == posted
    middle.set()
    guest.order("echo >/tmp/middle")
    guest.until(lambda: "read" in said(guest), "the file", 400)
    enough.set()
    for thread in traffic:
        thread.join()
    assert guest.upcalls() == upcalls
    assert grown(half, moved(guest))  # so in that moment all were busy
    assert all(thread.same for thread in traffic)
    guest.order("echo >/tmp/enough")
    guest.until(lambda: "drawn" in said(guest), "the end of drawing")
    for peer in peers.values():
        peer.close()


def grown(before: dict[str, int], after: dict[str, int]) -> bool:
    return all(after[name] > value for name, value in before.items())


def said(guest: Guest) -> dict[str, str]:
    """The guest's complete answers."""
    lines = (line.strip().partition("=") for line in guest.text().split("\n")[:-1])
    return {name: value.split()[0] for name, equals, value in lines if equals and value}


def check_counters(guest: Guest) -> None:
    devices = guest.machine.stats()["devices"]
    for name in ("virtio-console0", "virtio-blk0", "virtio-net0", "virtio-rng0"):
        assert devices[name]["faults"] == devices[name]["refused"] == 0, name
    assert devices["virtio-blk0"]["flushes"] > 0
    assert devices["virtio-blk0"]["failed"] == 0
