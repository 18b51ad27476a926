"""A stock Debian kernel on a PV network card: bytes both ways to and from a network namespace."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.linux.namespace import GUEST, HOST, TAP, inside, move, namespace
from tests.linux.test_stock_boot import complaints
from tests.linux.test_stock_net import answers, config
from tests.linux.wire import BACK, OUT, Wire
from tests.virtiopci import wait_for
from vmm.host import net
from vmm.lab.kernel import Kernel, kernel, older_kernel
from vmm.machine import Machine

pytestmark = pytest.mark.needs("kvm", "stock-kernel", "root", "tap", "xen")

MIB = 1 << 20
RELEASE = "echo release=`uname -r`\n"
ECHO = f"nc {HOST} {OUT} </dev/null >/tmp/a; nc {HOST} {BACK} </tmp/a; rm /tmp/a\n"
SETUP = f"""
PATH=/bin; /bin/busybox --install -s /bin
ifconfig eth0 {GUEST} up
echo mac=`cat /sys/class/net/eth0/address`
echo queues=`ls -d /sys/class/net/eth0/queues/tx-* | wc -l`
"""
REBIND = f"""
cd /sys/bus/xen/drivers/vif
for i in 1 2 3; do
    echo vif-0 >unbind; echo vif-0 >bind
    while [ ! -e /sys/class/net/eth0 ]; do usleep 10000; done
    ifconfig eth0 {GUEST} up; usleep 50000
done; cd /
ping -c 3 -i 0.2 -s 4000 {HOST} >/dev/null && echo pinged=yes
"""
MAC = "52:54:00:12:34:56"


OLDER = pytest.mark.needs("older-kernel")


@pytest.mark.parametrize(
    ("which", "backend", "calls", "queues", "mib"),
    [
        (kernel, "kvm", "patch", 2, 10),
        (kernel, "userspace", "patch", 2, 10),
        (kernel, "userspace", "breakpoint", 1, 4),
        pytest.param(older_kernel, "kvm", "patch", 1, 4, marks=OLDER),
        pytest.param(older_kernel, "userspace", "patch", 1, 4, marks=OLDER),
        pytest.param(older_kernel, "userspace", "breakpoint", 2, 4, marks=OLDER),
    ],
)
def test_bytes_both_ways(
    which: Callable[[], Kernel], backend: str, calls: str, queues: int, mib: int, tmp_path: Path
) -> None:
    data = random.Random(mib).randbytes(mib * MIB)
    settings = config(
        tmp_path,
        SETUP + RELEASE + 2 * ECHO + REBIND + ECHO + "dmesg -r | grep '^<[0-3]>'",
        modules=("xen_netfront",),
        of=which(),
        nets=[f"tap={TAP},bus=xen,mac={MAC},queues={queues}"],
        xen=True,
        xen_backend=backend,
        xen_calls=calls,
        kaslr=True,
    )
    with namespace() as name, Machine(settings) as machine:
        machine.start()
        wait_for(lambda: net.exists(TAP) or machine.result is not None, "the tap")
        move(TAP, name)
        wire = inside(name, Wire)
        try:
            assert wire.echo(data[:MIB]) == data[:MIB]
            assert wire.echo(data) == data
            assert wire.echo(data[:1000]) == data[:1000]
        finally:
            wire.close()
        machine.wait()
        counted = machine.stats()["devices"]["xen"]
    assert not net.exists(TAP)
    found = answers(tmp_path)
    console = (tmp_path / "console").read_text(errors="replace")
    assert found["release"] == which().version
    assert found["mac"] == MAC
    assert found["queues"] == str(queues)
    assert found["pinged"] == "yes"
    assert counted["vif0_rx_bytes"] > len(data) < counted["vif0_tx_bytes"]
    assert counted["vif0_rx_gso"] > 4 * mib < counted["vif0_tx_gso"]
    assert counted["vif0_broken"] == counted["vif0_refused"] == counted["vif0_tx_dropped"] == 0
    assert counted["grants_mapped"] == 0
    assert complaints(console) == []
