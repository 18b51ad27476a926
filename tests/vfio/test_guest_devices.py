"""Functions of the host in a stock guest, used by the guest's own drivers."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.linux.namespace import GUEST, HOST, inside
from tests.linux.wire import BACK, MIB, OUT, Wire
from tests.vfio.guest import APPEND, COMPLAINTS, peer, stock_guest
from tests.vfio.host import drive, driver, load, vmm
from tests.vfio.lab import LEVEL, MODERN, STORE, WIRED
from vmm.errors import EXIT_OK
from vmm.stats import difference

pytestmark = pytest.mark.needs("kvm", "stock-kernel", "vfio", "root")

CHIPS = ("kernel", "split")
# 16 MiB of noise again and again with a number in front of each; through files, as pipes are slow.
DISK = """
dd if=/dev/urandom of=/noise bs=1M count=16 2>/dev/null
for n in `seq 0 16 {last}`; do
    dd if=/noise of=/data bs=1M seek=$n conv=notrunc 2>/dev/null
    echo $n | dd of=/data bs=1M seek=$n conv=notrunc 2>/dev/null
done
echo written=`sha256sum </data`
dd if=/data of=/dev/nvme0n1 bs=1M oflag=direct 2>/dev/null; rm /data
dd if=/dev/nvme0n1 of=/data bs=1M count={size} iflag=direct 2>/dev/null
echo read=`sha256sum </data` size=`stat -c %s /data`
for cpu in 1 2; do
    taskset $cpu dd if=/dev/nvme0n1 of=/dev/null bs=4k count=50 iflag=direct 2>/dev/null
done
grep nvme /proc/interrupts | sed 's/^/irq /'
"""


@pytest.fixture
def disk() -> str:
    load("nvme")
    drive(STORE, "nvme")
    assert vmm("bind", STORE).returncode == EXIT_OK
    return STORE


@pytest.mark.parametrize(("irqchip", "size"), [("kernel", 256), ("split", 32)])
def test_a_disk_keeps_what_is_written(disk: str, irqchip: str, size: int, tmp_path: Path) -> None:
    devices = [f"vfio,host={disk},id=store"]
    script = DISK.format(size=size, last=size - 16) + COMPLAINTS
    with stock_guest(
        tmp_path, script, ["nvme"], devices=devices, irqchip=irqchip, cpus=2, mem="700M"
    ) as guest:
        pass
    words, counted = guest.words, guest.counters("store")
    assert len(words["written"].split()[0]) == 64
    assert words["read"] == f"{words['written']} size={size * MIB}"
    assert "complaint" not in guest.text()
    fired = guest.interrupts("nvme0q")
    assert sorted(fired) == ["nvme0q0", "nvme0q1", "nvme0q2"]
    assert all(fired.values()), fired
    assert counted["failures"] == counted["msix_failures"] == 0
    assert vmm("restore").returncode == EXIT_OK
    assert driver(disk) == "nvme"


# Single reads, between two lines on the console that give the host time to look.
STEADY = """
irqs() { grep nvme0q1 /proc/interrupts | sed "s/^/irq /;s/nvme0q1/$1/"; }
dd if=/dev/nvme0n1 of=/dev/null bs=4k count=50 iflag=direct 2>/dev/null
irqs before; echo begin; sleep 1
dd if=/dev/nvme0n1 of=/dev/null bs=4k count=2000 iflag=direct 2>/dev/null
sleep 1; irqs after; echo end; sleep 1
"""


@pytest.mark.parametrize("irqchip", CHIPS)
def test_requests_and_interrupts_cost_no_exit_and_no_code(
    disk: str, irqchip: str, tmp_path: Path
) -> None:
    devices = [f"vfio,host={disk},id=store"]
    with stock_guest(tmp_path, STEADY, ["nvme"], devices=devices, irqchip=irqchip) as guest:
        guest.wait_for("begin")
        first, before = guest.machine.stats(), guest.machine.stats()
        guest.wait_for("\nend\n")
        after = guest.machine.stats()
    fired = guest.interrupts("")
    assert fired["after"] - fired["before"] >= 2000
    passed = difference(after, before)
    ours = passed["devices"]["store"]
    assert not any(ours[name] for name in ours if name not in ("intx", "msi", "msix"))
    looking = difference(before, first)["upcalls"]["count"]  # at a vCPU's counters asks its thread
    assert passed["upcalls"]["count"] <= looking
    exits = sum(vcpu["exits"] for vcpu in passed["vcpus"])
    assert exits < 300  # what it takes to print and to sleep
    assert vmm("restore").returncode == EXIT_OK


# How a ROM begins, which its file in sysfs shows once it is told to.
ROM = """
cd /sys/class/net/eth0/device
echo 1 >rom; echo rom=`dd if=rom bs=2 count=1 2>/dev/null | hexdump -e '1/2 "%x"'`; echo 0 >rom
"""
LEVELS = {"eth0": ("15:", "addr=3"), "eth1": ("10:", "addr=4")}  # lines of the PIC
CARDS = {WIRED: ("messages", "msix"), LEVEL: ("level", "intx"), MODERN: ("modern", "msix")}
CARD = """
ifconfig {card} {guest} up
for n in 1 2; do nc {host} {out} </dev/null >/a; nc {host} {back} </a; done
grep {card} /proc/interrupts | sed 's/^/irq /'
ifconfig {card} down
"""


@pytest.mark.parametrize("irqchip", CHIPS)
def test_cards_and_bytes_through_each(irqchip: str, tmp_path: Path) -> None:
    load("e1000e")
    load("virtio_net")
    assert vmm("bind", *CARDS).returncode == EXIT_OK
    data = random.Random(irqchip).randbytes(4 * MIB)
    ends = {"host": HOST, "out": OUT, "back": BACK}
    script = "".join(CARD.format(card=f"eth{n}", guest=f"{GUEST}{n}", **ends) for n in range(3))
    script += "grep virtio /proc/interrupts | sed 's/^/irq /'\n"
    devices = [f"vfio,host={address},id={name}" for address, (name, _) in CARDS.items()]
    modules = ["e1000e", "8139cp", "virtio_pci", "virtio_net"]  # eth0, eth1, eth2
    with peer() as name:
        wire = inside(name, Wire)
        with stock_guest(
            tmp_path, script + COMPLAINTS, modules, devices=devices, irqchip=irqchip
        ) as guest:
            for card, kind in CARDS.values():
                assert wire.echo(data[:1000]) == data[:1000]
                assert guest.counters(card)[kind] == 1
                assert wire.echo(data) == data
        wire.close()
    assert "complaint" not in guest.text()
    assert all(guest.counters(card)["failures"] == 0 for card, _ in CARDS.values())
    for card, _ in CARDS.values():  # one of 256 bytes too, which has a page for itself
        assert guest.counters(card)["reads"] + guest.counters(card)["writes"] == 0
    assert sum(guest.interrupts("eth0").values()) > 100
    assert guest.interrupts("eth1")["eth1"] > 100
    assert guest.interrupts("virtio")["virtio0-input.0"] > 100
    assert {driver(address) for address in CARDS} == {"vfio-pci"}
    assert vmm("restore").returncode == EXIT_OK
    assert driver(MODERN) == "virtio-pci"


@pytest.mark.parametrize("irqchip", CHIPS)
def test_pins_of_a_guest_that_uses_the_pic(irqchip: str, tmp_path: Path) -> None:
    load("e1000e")
    assert vmm("bind", WIRED, LEVEL).returncode == EXIT_OK
    data = random.Random(irqchip).randbytes(MIB // 2)
    ends = {"host": HOST, "out": OUT, "back": BACK}
    script = "".join(CARD.format(card=card, guest=f"{GUEST}{n}", **ends)
                     for n, card in enumerate(LEVELS))  # fmt: skip
    places = zip((WIRED, LEVEL), LEVELS.values(), strict=True)
    devices = [f"vfio,host={host},{place}" for host, (_line, place) in places]
    script += ROM
    settings = {"machine": "legacy", "irqchip": irqchip, "devices": devices}
    settings["append"] = f"{APPEND} noapic pci=nomsi"
    with peer() as name:
        wire = inside(name, Wire)
        with stock_guest(tmp_path, script, ["e1000e", "8139cp"], **settings) as guest:
            for _card in LEVELS:
                for size in (1000, len(data)):
                    assert wire.echo(data[:size]) == data[:size]
        wire.close()
    rows = [line.split() for line in guest.text().splitlines() if line.startswith("irq ")]
    assert [(row[-1], row[1], row[3]) for row in rows] == [
        (card, line, "XT-PIC") for card, (line, _) in LEVELS.items()
    ]
    assert all(int(row[2]) > 100 for row in rows), rows
    assert guest.words["rom"] == "aa55"
    assert vmm("restore").returncode == EXIT_OK
