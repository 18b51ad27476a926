"""The UART's transmit register as a coalesced zone of real KVM: order, gating, draining."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import guests
from vmm import layout
from vmm.config import VmConfig
from vmm.machine import Machine

pytestmark = pytest.mark.needs("kvm")

DATA, FCR, LCR, MCR, LSR = 0x3F8, 0x3FA, 0x3FB, 0x3FC, 0x3FD
DEBUGCON, DEBUG_EXIT = 0xE9, 0xF4
PCI_ADDRESS, PCI_DATA = 0xCF8, 0xCFC
FIFO, DLAB, LOOP = 0x01, 0x80, 0x10
PATIENCE = 20
EXIT_CODE = 1  # of isa-debug-exit with value 0

# Pieces of a real-mode program.
MOV_DX, MOV_AL, OUT_DX, IN_DX = b"\xba", b"\xb0", b"\xee", b"\xec"
FOREVER = b"\xeb\xfe"
END = b"\xb0\x00\xe6\xf4" + FOREVER


def write(port: int, value: int) -> bytes:
    return MOV_DX + port.to_bytes(2, "little") + MOV_AL + bytes([value]) + OUT_DX


def read(port: int) -> bytes:
    return MOV_DX + port.to_bytes(2, "little") + IN_DX


def echo(source: int, target: int) -> bytes:
    """What `source` reads, written to `target`."""
    return read(source) + MOV_DX + target.to_bytes(2, "little") + OUT_DX


def repeat(port: int, value: int, count: int) -> bytes:
    start = MOV_DX + port.to_bytes(2, "little") + MOV_AL + bytes([value])
    return start + b"\xb9" + count.to_bytes(2, "little") + b"\xee\xe2\xfd"


class Run:
    """A machine with this program; its console's output and its counters."""

    def __init__(self, program: bytes, folder: Path, **settings: object) -> None:
        image, self.output = folder / "image", folder / "console"
        image.write_bytes(program.ljust(510, b"\x90") + b"\x55\xaa")
        console = f"file:{self.output}"
        config = VmConfig.of(
            kernel=str(image), mem=16 << 20, consoles=[console], debug_exit=True, **settings
        )
        self.machine = Machine(config)

    def to_its_end(self) -> bytes:
        with self.machine as machine:
            assert machine.run().code == EXIT_CODE
            self.exits = machine.stats()["vcpus"][0]["exits"]
            self.coalesced = machine.stats()["coalesced"]["writes"]
        return self.output.read_bytes()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_bytes_are_queued_and_arrive_in_order(tmp_path: Path) -> None:
    letters = b"".join(repeat(DATA, ord(c), 150) for c in "abc")
    run = Run(write(FCR, FIFO) + letters + read(LSR) + END, tmp_path)
    assert run.to_its_end() == b"a" * 150 + b"b" * 150 + b"c" * 150
    assert run.coalesced >= 400
    assert run.exits < 40


def test_bytes_are_queued_without_fifo_too(tmp_path: Path) -> None:
    run = Run(repeat(DATA, ord("x"), 100) + read(LSR) + END, tmp_path)
    assert run.to_its_end() == b"x" * 100
    assert run.coalesced >= 90
    assert run.exits < 20


def test_divisor_writes_between_bytes_are_not_sent(tmp_path: Path) -> None:
    program = (
        write(FCR, FIFO)
        + repeat(DATA, ord("a"), 20)
        + write(LCR, DLAB)
        + repeat(DATA, 0x0C, 20)
        + write(LCR, 0x03)
        + repeat(DATA, ord("b"), 20)
        + END
    )
    assert Run(program, tmp_path).to_its_end() == b"a" * 20 + b"b" * 20


def test_loopback_bytes_come_back_and_go_nowhere_else(tmp_path: Path) -> None:
    program = (
        write(FCR, FIFO)
        + repeat(DATA, ord("a"), 20)
        + write(MCR, LOOP)
        + write(DATA, ord("L"))
        + echo(DATA, DEBUGCON)
        + write(MCR, 0)
        + repeat(DATA, ord("b"), 20)
        + END
    )
    assert Run(program, tmp_path).to_its_end() == b"a" * 20 + b"L" + b"b" * 20


def test_both_consoles_keep_the_order_of_the_guests_writes(tmp_path: Path) -> None:
    pairs = b"".join(write(DATA, ord(c)) + write(DEBUGCON, ord(c.upper())) for c in "abcdefgh")
    run = Run(write(FCR, FIFO) + pairs + END, tmp_path)
    assert run.to_its_end() == b"aAbBcCdDeEfFgGhH"


def write_long(port: int, value: int, count: int = 1) -> bytes:
    """out dx, eax `count` times."""
    start = MOV_DX + port.to_bytes(2, "little") + b"\x66\xb8" + value.to_bytes(4, "little")
    return start + b"\xb9" + count.to_bytes(2, "little") + b"\x66\xef\xe2\xfc"


def test_pci_addresses_are_queued_and_the_data_is_that_of_the_last(tmp_path: Path) -> None:
    addresses = write_long(PCI_ADDRESS, 0x8000_F800, count=50)
    vendor = b"".join(echo(PCI_DATA + n, DEBUGCON) for n in range(2))
    program = addresses + write_long(PCI_ADDRESS, 0x8000_0000) + vendor + END
    run = Run(program, tmp_path, pci="on")

    assert run.to_its_end() == b"\x36\x1b"
    assert run.coalesced >= 50
    assert run.exits < 10


@pytest.mark.parametrize("values", [(6,), (2, 6), (6, 2, 6)])
def test_a_reset_inside_the_address_register_is_queued_and_happens_all_the_same(
    values: tuple[int, ...], tmp_path: Path
) -> None:
    """After its last write this guest makes no exit any more: the timer brings the news."""
    program = write_long(PCI_ADDRESS, 0x8000_0000) + b"".join(write(0xCF9, v) for v in values)
    run = Run(program + FOREVER, tmp_path, reboot="exit")
    with run.machine as machine:
        machine.start()
        outcome = machine.wait(PATIENCE)
        coalesced = machine.stats()["coalesced"]["writes"]

    assert outcome.cause == "reset"
    assert coalesced == len(values)


def test_a_reset_out_of_the_ring_happens_once(tmp_path: Path) -> None:
    """Three wishes of one life: the next life is not reset by them."""
    count = 0x0500  # a word of RAM, which survives the reset
    again = b"\x83\x3e" + count.to_bytes(2, "little") + b"\x01"  # cmp word [count], 1
    first_life = (
        b"\xff\x06" + count.to_bytes(2, "little")  # inc word [count]
        + write_long(PCI_ADDRESS, 0x8000_0000)
        + b"".join(write(0xCF9, value) for value in (6, 0, 6, 0, 6))
        + FOREVER
    )  # fmt: skip
    program = again + b"\x74" + bytes([len(first_life)]) + first_life + END
    run = Run(program, tmp_path)
    with run.machine as machine:
        machine.start()
        outcome = machine.wait(PATIENCE)

    assert outcome.code == EXIT_CODE
    assert machine.resets == 1


def test_output_of_a_guest_that_only_writes_arrives_and_then_nothing_wakes_us(
    tmp_path: Path,
) -> None:
    run = Run(write(FCR, FIFO) + repeat(DATA, ord("w"), 30) + FOREVER, tmp_path)
    with run.machine as machine:
        machine.start()
        until(lambda: run.output.read_bytes() == b"w" * 30)
        zones = machine.hardware.coalesce
        until(lambda: zones.counters()["on"] == 0)
        drains = zones.counters()["drains"]
        time.sleep(0.3)
        assert zones.counters()["drains"] == drains
        machine.stop()
        machine.wait(PATIENCE)


@pytest.mark.needs("probe-real16:code")
def test_an_index_of_the_split_ioapic_costs_no_exit_and_comes_before_its_data() -> None:
    guests.build()
    guest = guests.load()[0]["ioapic"]
    settings = guest.settings("split", Path())
    with Machine(VmConfig.of(consoles=["null"], **settings)) as machine:
        assert machine.run().code == guest.code, "the guest finds what it wrote"
        stats = machine.stats()

    exits = [row for vcpu in stats["vcpus"] for row in vcpu["accesses"] if by(row, "mmio-write")]
    queued = sum(row["count"] for row in stats["coalesced"]["accesses"] if by(row, "mmio-write"))
    data = [row for row in exits if row["address"] == layout.IOAPIC + 0x10]
    index = sum(row["count"] for row in exits if row["address"] == layout.IOAPIC)
    assert queued > 1000
    assert index < queued / 100, "only a full ring makes an exit of it"
    assert data


def by(row: dict[str, Any], space: str) -> bool:
    return bool(row["space"] == space)
