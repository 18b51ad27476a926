"""A stock Debian kernel on virtio-net: bytes both ways between it and a network namespace.

The tap is moved into a namespace of its own. The guest's script fetches bytes over TCP and sends
them back; machines are driven in this process.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.linux.namespace import (
    GUEST,
    HOST,
    PREFIX,
    TAP,
    inside,
    move,
    namespace,
)
from tests.linux.running import running
from tests.linux.stock import TIMEOUT, initrd_with
from tests.linux.wire import BACK, OUT, Wire
from tests.virtiopci import wait_for
from vmm.config import VmConfig
from vmm.host import net
from vmm.lab.guest import guest_kernel, guest_modules
from vmm.lab.kernel import Kernel
from vmm.machine import Machine

pytestmark = pytest.mark.needs("kvm", "stock-kernel", "root", "tap")

VHOST = pytest.mark.needs("vhost-net")
MIB = 1 << 20
MODULES = ("virtio_pci", "virtio_net")
SETUP = f"""
PATH=/bin; /bin/busybox --install -s /bin
ifconfig eth0 {GUEST} up
echo features=`cat /sys/bus/virtio/devices/virtio0/features`
echo queues=`ls -d /sys/class/net/eth0/queues/tx-* | wc -l`
"""
ECHO = f"nc {HOST} {OUT} </dev/null >/tmp/a; nc {HOST} {BACK} </tmp/a; rm /tmp/a\n"
REBIND = """
cd /sys/bus/virtio/drivers/virtio_net
for i in 1 2 3 4 5; do
    echo virtio0 >unbind; echo virtio0 >bind
    ifconfig eth0 198.51.100.2 up; usleep 50000
done; cd /; echo rebound
"""


def config(
    folder: Path,
    script: str,
    append: str = "",
    modules: Sequence[str] = MODULES,
    of: Kernel | None = None,
    **settings: object,
) -> VmConfig:
    return VmConfig.of(
        **{
            "kernel": str(of.image if of is not None else guest_kernel()),
            "initrd": str(initrd_with(folder, script, guest_modules(modules, of))),
            "append": f'console=ttyS0 quiet {append} vmm.cmd="/bin/sh /script"',
            "consoles": [f"file:{folder / 'console'}"],
            "cpus": 2,
            "timeout": str(4 * TIMEOUT),
            **settings,
        }
    )


@contextmanager
def guest(
    folder: Path, script: str, options: str, append: str = ""
) -> Iterator[tuple[Machine, Wire]]:
    settings = config(folder, SETUP + script, append, nets=[f"tap={TAP},{options}"])
    with namespace() as name, Machine(settings) as machine:
        machine.start()
        wait_for(lambda: net.exists(TAP) or machine.result is not None, "the tap")
        move(TAP, name)
        wire = inside(name, Wire)
        try:
            yield machine, wire
        finally:
            wire.close()
        machine.wait()
    assert not net.exists(TAP)


def answers(folder: Path) -> dict[str, str]:
    lines = (folder / "console").read_text(errors="replace").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def card(machine: Machine) -> dict[str, int]:
    found: dict[str, int] = machine.stats()["devices"]["virtio-net0"]
    return found


def upcalls(machine: Machine) -> int:
    return int(machine.stats()["upcalls"]["count"])


@pytest.mark.parametrize(
    ("options", "append"),
    [
        pytest.param("vhost=off", "", id="own"),
        pytest.param("vhost=off,queues=2", "", id="own-2"),
        pytest.param("vhost=off", "pci=nomsi", id="own-intx"),
        pytest.param("vhost=on", "", id="vhost", marks=VHOST),
        pytest.param("vhost=on,queues=2", "", id="vhost-2", marks=VHOST),
        pytest.param("vhost=on", "pci=nomsi", id="vhost-intx", marks=VHOST),
    ],
)
def test_bytes_both_ways(tmp_path: Path, options: str, append: str) -> None:
    pairs = 2 if "queues=2" in options else 1
    kernel = "vhost=on" in options
    data = random.Random(options).randbytes(24 * MIB)
    with guest(tmp_path, 3 * ECHO, options, append) as (machine, wire):
        assert wire.echo(data[:MIB]) == data[:MIB]
        before = upcalls(machine)
        asked = upcalls(machine) - before
        assert wire.echo(data) == data
        assert upcalls(machine) - before <= 2 * asked  # none for the traffic
        counted = card(machine)
        assert counted["faults"] == counted["refused"] == counted["tx_bad_header"] == 0
        assert counted["vhost_rings"] == (2 * pairs if kernel else 0)
        if not kernel:
            assert counted["rx_bytes"] > len(data) < counted["tx_bytes"]
            assert counted["tx_bytes"] / counted["tx_packets"] > 2000  # cut up by the host alone
        assert wire.echo(data[:1000]) == data[:1000]  # and the guest ends
    found = answers(tmp_path)
    assert found["queues"] == str(pairs)
    assert all(found["features"][bit] == "1" for bit in (0, 1, 7, 11, 15, 17, 28, 29, 32))


@pytest.mark.parametrize(
    "options",
    ["vhost=off", pytest.param("vhost=on", marks=VHOST)],
)
def test_life_under_traffic(tmp_path: Path, options: str) -> None:
    """Saved and loaded with bytes on their way; the driver lets go and takes the card again."""
    data = random.Random(1).randbytes(8 * MIB)
    with guest(tmp_path, ECHO + REBIND + ECHO, options) as (machine, wire):

        def save_and_load() -> None:
            machine.pause()
            machine.load(machine.save())
            machine.resume()

        assert wire.echo(data, save_and_load) == data
        stop = threading.Event()
        flood = threading.Thread(target=lambda: inside(f"{TAP}s", lambda: pour(stop)))
        flood.start()
        assert wire.echo(data) == data
        stop.set()
        flood.join()
        counted = card(machine)
        assert counted["starts"] >= 6
        assert counted["faults"] == 0


def pour(stop: threading.Event) -> None:
    """Datagrams for the guest, whether it listens or not."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while not stop.is_set():
            for _ in range(50):
                try:
                    sender.sendto(bytes(1000), (GUEST, 9))
                except OSError:
                    break  # the guest says that nobody listens, or is not there
            time.sleep(0.01)


COME_AND_GO = f"""
PATH=/bin; /bin/busybox --install -s /bin
while :; do
    while [ ! -e /sys/class/net/eth0 ]; do usleep 10000; done
    ifconfig eth0 {GUEST} up; {ECHO}
    while [ -e /sys/class/net/eth0 ]; do usleep 10000; done
done
"""
CYCLES = 5


@pytest.mark.parametrize("options", ["vhost=off", pytest.param("vhost=on,queues=2", marks=VHOST)])
def test_card_comes_and_goes(tmp_path: Path, options: str) -> None:
    data = random.Random(2).randbytes(2 * MIB)
    with Machine(config(tmp_path, COME_AND_GO, pci="on")) as machine:
        machine.start()
        for _ in range(CYCLES):
            machine.attach_device(
                f"virtio-net,id=card,tap={TAP},host-addr={HOST}/{PREFIX},{options}"
            )
            wire = Wire()
            assert wire.echo(data) == data
            wire.close()
            machine.detach_device("card")
            end = time.monotonic() + TIMEOUT
            while net.exists(TAP) and time.monotonic() < end:
                time.sleep(0.05)
            assert not net.exists(TAP)
        machine.stop()
        machine.wait()


def test_tap_is_gone_when_the_machine_is_killed(tmp_path: Path) -> None:
    with running(
        tmp_path, "sleep 1000", ["--net", f"tap={TAP},addr={HOST}/{PREFIX}"], MODULES
    ) as machine:
        machine.wait_for("guest ready")
        assert net.exists(TAP)
        machine.process.kill()
        machine.process.wait()
        end = time.monotonic() + TIMEOUT
        while net.exists(TAP) and time.monotonic() < end:
            time.sleep(0.05)
        assert not net.exists(TAP)
