"""A stock Debian kernel on named ports; numbers as in docs/console.md."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.linux.consoleguest import MIB, NAMES, Guest, echo_through, guest, receive

pytestmark = pytest.mark.needs("kvm", "stock-kernel")

REPLUGS = 100


def echo(guest: Guest, name: str, data: bytes) -> bytes:
    with guest.connect(name) as peer:
        return echo_through(peer, data)


def test_named_ports_of_a_stock_kernel(tmp_path: Path) -> None:
    with guest(tmp_path, "nr=0,console,ring=64K") as running:
        check_names(running)
        check_files(running)
        check_echo(running, 16 * MIB)
        assert ignored(running) == 0
        check_replug(running)
        # The guest's word that it has closed a port may cross with the port's removal.
        crossed = ignored(running)
        assert crossed <= REPLUGS
        check_swap(running)
        check_saved_state(running)
        check_unbind(running)
        check_storm(running)
        core = running.machine.stats()["devices"]["virtio-console0"]
        assert core["faults"] == core["refused"] == core["port_failed"] == 0
        assert core["control_ignored"] == crossed


@pytest.mark.parametrize(
    "append", [pytest.param("", id="msix"), pytest.param("pci=nomsi", id="intx")]
)
def test_named_ports_of_a_stock_kernel_by_the_legacy_interface(append: str, tmp_path: Path) -> None:
    devices = ["virtio-console,legacy=on"]
    with guest(tmp_path, "nr=0,console,ring=64K", devices=devices, append=append) as running:
        shown = running.do("cd /sys/bus/virtio/devices/virtio0; cat ../../../*/*/device features")
        assert "0x1003" in shown
        [features] = [line for line in shown.splitlines() if len(line) == 64]
        assert features[32] == "0"  # VIRTIO_F_VERSION_1
        check_names(running)
        check_files(running)
        check_echo(running, 2 * MIB)
        check_swap(running)
        check_saved_state(running)
        check_unbind(running)
        core = running.machine.stats()["devices"]["virtio-console0"]
        assert core["faults"] == core["refused"] == core["port_failed"] == 0


def ignored(guest: Guest) -> int:
    return int(guest.machine.stats()["devices"]["virtio-console0"]["control_ignored"])


def check_names(guest: Guest) -> None:
    """24: names and numbers in sysfs, an event for each."""
    shown = guest.do("grep . /sys/class/virtio-ports/*/name; cat /sys/class/tty/hvc0/dev")
    for number, name in enumerate(("orders", *NAMES), 1):
        assert f"/sys/class/virtio-ports/vport0p{number}/name:{name}" in shown
    assert "229:0" in shown
    assert "DEVNAME=vport0p2" in guest.do("cat /sys/class/virtio-ports/vport0p2/uevent")
    guest.machine.ports.swap("hvc0", "ring=8K")
    guest.do("echo shown >/dev/hvc0")
    guest.until(lambda: b"shown" in guest.machine.ports.read("hvc0"), "hvc0")


def check_files(guest: Guest) -> None:
    """2, 3, 6, 8, 9, 13: the port's file, with nobody and with somebody at the other end."""
    assert "twice=1 -16" in guest.do("portio twice a")
    assert "poll=i-h" in guest.do("portio poll a")
    shown = guest.do("portio nonblock a")
    assert "nonblock-read=0" in shown  # the end of the file
    assert "nonblock-write=-11" in shown
    with guest.connect("a") as peer:
        guest.until(lambda: "poll=-o-" in guest.do("portio poll a"), "a connection")
        assert "nonblock-read=-11" in guest.do("portio nonblock a")
        assert peer.recv(1) == b"x"
        guest.order("portio take a")
        peer.sendall(b"input")
        guest.wait_for("taken=input")
        assert "poll=io-" in guest.text()
        guest.order(f"portio fill a {MIB}")
        assert receive(peer, MIB) == b"f" * MIB
        guest.wait_for(f"written={MIB}")
    # A writer waits for the next who connects, once the guest knows that the last one left.
    guest.until(lambda: "poll=i-h" in guest.do("portio poll a"), "the end of the connection")
    guest.order("echo waited >/dev/vport0p2; echo wrote-it")
    time.sleep(0.3)
    assert "\nwrote-it" not in guest.text()
    with guest.connect("a") as peer:
        assert receive(peer, 7) == b"waited\n"
    guest.wait_for("\nwrote-it")


def check_echo(guest: Guest, each: int) -> None:
    """7: bytes over four ports at once, without a word to Python."""
    for name in NAMES:
        guest.order(f"portio echo {name} {each} &")
    datas = {name: random.Random(name).randbytes(each) for name in NAMES}
    back: dict[str, bytes] = {}
    before = guest.upcalls()
    threads = [
        threading.Thread(target=lambda n=name: back.update({n: echo(guest, n, datas[n])}))
        for name in NAMES
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert guest.upcalls() == before
    assert all(back[name] == datas[name] for name in NAMES)
    for name in NAMES:
        guest.wait_for(f"echoed-{name}={each}")


def check_replug(guest: Guest) -> None:
    """15, 16: a port comes and goes REPLUGS times while another carries an echo."""
    size = 8 * MIB
    data = random.Random(16).randbytes(size)
    back: list[bytes] = []
    guest.order(f"portio echo b {size} &")
    guest.order(f"portio plug x {REPLUGS} &")
    beside = threading.Thread(target=lambda: back.append(echo(guest, "b", data)))
    beside.start()
    for n in range(REPLUGS):
        guest.machine.ports.add(f"name=x,socket={guest.folder}/x.sock")
        piece = data[n * 1000 : n * 1000 + 5000]
        with guest.connect("x") as peer:
            peer.sendall(piece)
            assert receive(peer, 5000) == piece
            if n % 2:
                peer.sendall(b"left behind" * 1000)
            guest.machine.ports.remove("x")
    beside.join()
    assert back == [data]
    guest.wait_for(f"plugged-x={REPLUGS}")
    guest.wait_for(f"echoed-b={size}")


def check_swap(guest: Guest) -> None:
    """19: other ends for a port that the guest writes to, which does not wait for the device."""
    log, ports = guest.folder / "swapped", guest.machine.ports
    ports.swap("c", f"file={log}")
    guest.order("echo to a file >/dev/vport0p4")
    guest.until(lambda: log.read_bytes() == b"to a file\n", "the file")
    ports.swap("c", "ring=8K")
    guest.order("echo to a ring >/dev/vport0p4")
    guest.until(lambda: ports.read("c") == b"to a ring\n", "the ring")
    ports.swap("c", f"socket={guest.folder}/c.sock")
    guest.order("echo to a socket >/dev/vport0p4")
    with guest.connect("c") as peer:
        assert receive(peer, 12) == b"to a socket\n"


def check_saved_state(guest: Guest) -> None:
    """22, 23: saved and loaded with output on its way and input unread."""
    guest.order(f"portio echo d {MIB} &")
    data = random.Random(23).randbytes(MIB)
    with guest.connect("d") as peer:
        sending = threading.Thread(target=peer.sendall, args=(data,))
        sending.start()
        back = receive(peer, 1000)
        for _ in range(5):
            guest.machine.pause()
            guest.machine.load(guest.machine.save())
            guest.machine.resume()
            back += receive(peer, 50_000)
        back += receive(peer, MIB - len(back))
        sending.join()
    assert back == data
    guest.wait_for(f"echoed-d={MIB}")


def check_unbind(guest: Guest) -> None:
    """20: the driver lets go and takes the device again.

    Linux's frees a control message of its own that is on its way just then as if it were a port's
    buffer, and dies of it. So not before it has all ports, nor while a process still closes one:
    what was started in the background has the port of the orders open, too.
    """
    names = len(("orders", *NAMES))
    guest.order(
        "exec 3<&-; wait; cd /sys/bus/virtio/drivers/virtio_console; for i in 1 2 3; do "
        "echo virtio0 >unbind; echo virtio0 >bind; "
        f"until [ `cat /sys/class/virtio-ports/*/name | wc -l` = {names} ]; do usleep 1000; done; "
        "done; cd /; exec 3<>/dev/vport0p1"
    )
    guest.until(
        lambda: guest.machine.stats()["devices"]["virtio-console0"]["starts"] >= 4, "three starts"
    )
    guest.orders.close()
    guest.orders = guest.connect("orders")
    assert "alive" in guest.do("echo al''ive")


@contextmanager
def on_one_cpu() -> Iterator[None]:
    """All threads of this process, so the vCPUs and the loops, share one CPU of the host."""
    usual = os.sched_getaffinity(0)
    pin({min(usual)})
    try:
        yield
    finally:
        pin(usual)


def pin(cpus: set[int]) -> None:
    for task in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):  # it has ended since
            os.sched_setaffinity(int(task), cpus)


def check_storm(guest: Guest) -> None:
    """31: two vCPUs on one CPU of the host, and many short writes."""
    count = 20_000
    with on_one_cpu(), guest.connect("a") as peer:
        guest.order(f"portio storm a {count} &")
        lines = receive(peer, 7 * count)
    assert lines == b"".join(b"%06d\n" % n for n in range(count))
    guest.wait_for(f"stormed={count}")
