"""A stock Debian kernel on a virtio console: hvc0, named ports; numbers as in docs/console.md.

Machines are driven in this process. The guest's shell is told what to do line by line on a port of
its own, `orders`, and answers on the console; what shells cannot do is done by c/portio.c.
"""

from __future__ import annotations

import fcntl
import os
import random
import signal
import socket
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.linux.stock import initrd_with
from tests.terminalkit import Terminal
from vmm.config import VmConfig
from vmm.lab import initramfs
from vmm.lab.guest import guest_kernel
from vmm.machine import Machine

pytestmark = pytest.mark.needs("kvm", "stock-kernel")

SOURCE = Path(__file__).parent / "c" / "portio.c"
PATIENCE = 40  # seconds for anything that the guest does, inside an emulated machine
MIB = 1 << 20
NAMES = ("a", "b", "c", "d")
REPLUGS = 100
# Runs every line that comes on the port called orders; its end is that of one caller.
OBEY = """
PATH=/bin; /bin/busybox --install -s /bin
for p in /sys/class/virtio-ports/*; do
    [ "`cat $p/name 2>/dev/null`" = orders ] && orders=/dev/${p##*/}
done
echo obeying
exec 3<>$orders
while usleep 1000; do
    while read -r line <&3; do eval "$line"; echo "done: $line"; done
done
"""


def portio(folder: Path) -> initramfs.Entry:
    """The helper as a member of the guest's file system."""
    binary = folder / "portio"
    subprocess.run(["gcc", "-static", "-O2", "-o", str(binary), str(SOURCE)], check=True)
    return initramfs.file("bin/portio", binary.read_bytes(), 0o755)


def receive(peer: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        piece = peer.recv(min(length - len(data), MIB))
        assert piece, f"ended after {len(data)} of {length} bytes"
        data += piece
    return bytes(data)


class Guest:
    """A running guest that does what it is told; `text()` is its console."""

    def __init__(self, machine: Machine, folder: Path, console: Path) -> None:
        self.machine, self.folder, self.console = machine, folder, console
        self.orders = self.connect("orders")

    def text(self) -> str:
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def until(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"waited in vain for {what}:\n{self.text()[-3000:]}"
            assert self.machine.result is None, self.text()[-3000:]
            time.sleep(0.01)

    def wait_for(self, line: str) -> None:
        self.until(lambda: line in self.text(), line)

    def connect(self, name: str) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(PATIENCE)
        peer.connect(str(self.folder / f"{name}.sock"))
        return peer

    def order(self, line: str) -> None:
        self.orders.sendall(f"{line}\n".encode())

    def do(self, line: str) -> str:
        """Has the line done; what the console shows of it."""
        before = len(self.text())
        self.order(line)
        self.until(lambda: f"done: {line}" in self.text()[before:], line)
        return self.text()[before:]

    def upcalls(self) -> int:
        """Entries into Python that guest accesses made, without those of asking for them."""
        return int(self.machine.stats()["upcalls"]["count"])


@contextmanager
def guest(folder: Path, *ports: str, **settings: object) -> Iterator[Guest]:
    console = folder / "console"
    initrd = initrd_with(folder, OBEY, [portio(folder)])
    named = [*ports, *(f"name={name},socket={folder}/{name}.sock" for name in ("orders", *NAMES))]
    config = VmConfig.of(
        **{
            "kernel": str(guest_kernel()),
            "initrd": str(initrd),
            "append": 'console=ttyS0 quiet vmm.cmd="/bin/sh /script"',
            "consoles": [f"file:{console}"],
            "ports": named,
            "cpus": 2,
            "timeout": str(10 * PATIENCE),
            **settings,
        }
    )
    with Machine(config) as machine:
        machine.start()
        running = Guest(machine, folder, console)
        running.wait_for("obeying")
        yield running
        machine.stop()
        machine.wait()


def echo_through(guest: Guest, name: str, data: bytes) -> bytes:
    """What comes back of `data` while it is sent."""
    with guest.connect(name) as peer:
        sending = threading.Thread(target=peer.sendall, args=(data,))
        sending.start()
        back = receive(peer, len(data))
        sending.join()
    return back


def test_named_ports_of_a_stock_kernel(tmp_path: Path) -> None:
    with guest(tmp_path, "nr=0,console,ring=64K") as running:
        check_names(running)
        check_files(running)
        check_echo(running)
        check_replug(running)
        check_swap(running)
        check_saved_state(running)
        check_unbind(running)
        check_storm(running)
        core = running.machine.stats()["devices"]["virtio-console0"]
        assert core["faults"] == core["refused"] == core["port_failed"] == 0
        # The guest's word that it has closed a port may cross with the port's removal.
        assert core["control_ignored"] <= REPLUGS


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
    # A writer waits for the next who connects.
    guest.order("echo waited >/dev/vport0p2; echo wrote-it")
    time.sleep(0.3)
    assert "\nwrote-it" not in guest.text()
    with guest.connect("a") as peer:
        assert receive(peer, 7) == b"waited\n"
    guest.wait_for("\nwrote-it")


def check_echo(guest: Guest) -> None:
    """7: 64 MiB over four ports at once, without a word to Python."""
    each = 16 * MIB
    for name in NAMES:
        guest.order(f"portio echo {name} {each} &")
    datas = {name: random.Random(name).randbytes(each) for name in NAMES}
    back: dict[str, bytes] = {}
    before = guest.upcalls()
    asked = guest.upcalls() - before  # what the question itself costs
    threads = [
        threading.Thread(target=lambda n=name: back.update({n: echo_through(guest, n, datas[n])}))
        for name in NAMES
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert guest.upcalls() - before == 2 * asked
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
    beside = threading.Thread(target=lambda: back.append(echo_through(guest, "b", data)))
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
    """19: other ends for a port that the guest writes to."""
    log = guest.folder / "swapped"
    guest.machine.ports.swap("c", f"file={log}")
    guest.do("echo to a file >/dev/vport0p4")
    guest.machine.ports.swap("c", "ring=8K")
    guest.do("echo to a ring >/dev/vport0p4")
    assert guest.machine.ports.read("c") == b"to a ring\n"
    guest.machine.ports.swap("c", f"socket={guest.folder}/c.sock")
    assert log.read_bytes() == b"to a file\n"
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

    Not before it has all ports: it frees a message of its own, if one is on its way, like a buffer.
    """
    names = len(("orders", *NAMES))
    guest.order(
        "exec 3<&-; cd /sys/bus/virtio/drivers/virtio_console; for i in 1 2 3; do "
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


def boot_on_terminal(folder: Path, script: str, *options: str) -> Terminal:
    initrd = initrd_with(folder, script, [portio(folder)])
    return Terminal(
        *("--kernel", str(guest_kernel()), "--initrd", str(initrd)),
        *("--append", 'console=hvc0 vmm.cmd="/bin/sh /script"', "--reboot", "exit"),
        *("--exit-report", str(folder / "report"), "--console", "virtio", *options),
    )


def resize(terminal: Terminal, columns: int, rows: int) -> None:
    fcntl.ioctl(terminal.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    os.kill(terminal.pid, signal.SIGWINCH)


def test_hvc0_is_a_terminal_that_follows_the_window(tmp_path: Path) -> None:
    """25, 26: keys, text, the window's size, and how a panic on it is told."""
    script = (
        "PATH=/bin; /bin/busybox --install -s /bin; portio window /dev/hvc0 2 &\n"
        'read -r answer; echo "you said $answer"; wait\n'
        "echo c >/proc/sysrq-trigger"
    )
    terminal = boot_on_terminal(tmp_path, script)
    try:
        terminal.patience = PATIENCE
        terminal.wait_for(b"window=0x0")
        terminal.type(b"hel\x01\x01lo\r")
        terminal.wait_for(b"you said hel")
        resize(terminal, 100, 40)
        terminal.wait_for(b"window=100x40")
        resize(terminal, 132, 50)
        terminal.wait_for(b"window=132x50")
        code = terminal.end()
    finally:
        terminal.close()
    assert code == 255
    report = (tmp_path / "report").read_text()
    assert '"cause": "panic"' in report
    assert "Kernel panic - not syncing: sysrq triggered crash" in report


def test_26_message_of_the_window_comes_in_either_order(tmp_path: Path) -> None:
    """Kernels differ in which they read, so one of two devices must have the window turned."""
    script = (
        "PATH=/bin; /bin/busybox --install -s /bin\n"
        "portio window /dev/hvc0 1 >/tmp/0 & portio window /dev/hvc1 1 >/tmp/1 &\n"
        "until [ -s /tmp/0 -a -s /tmp/1 ]; do usleep 10000; done; echo watching; wait\n"
        "echo `tail -n1 /tmp/0` `tail -n1 /tmp/1`; sleep 1"
    )
    terminal = boot_on_terminal(
        tmp_path,
        script,
        *("--device", "virtio-console,id=l,ports=1"),
        *("--device", "virtio-console,id=s,ports=1,resize-order=spec"),
        *("--port", "console,device=s,null"),
    )
    try:
        terminal.patience = PATIENCE
        terminal.wait_for(b"watching")
        resize(terminal, 100, 40)
        terminal.wait_for(b"window=")
        code = terminal.end()
    finally:
        terminal.close()
    assert code == 0
    shown = terminal.seen.split(b"window=", 1)[1].split()
    assert {shown[0], shown[1].removeprefix(b"window=")} == {b"100x40", b"40x100"}
