"""Ports that come around DRIVER_OK, and wake-ups in a hurry; numbers as in docs/console.md."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.native.vconrig import NAMED, ConsoleRig, MakeRig, works
from tests.vcondriver import (
    PORT_ADD,
    GuestConsole,
)
from tests.virtiopci import READY, wait_for

# --- 30: the seed


class SeedGuest(GuestConsole):
    """Linux 3.18-rc1: probe on one thread, the control work item on another.

    A helper sets DRIVER_OK early and trips over one that is set already; it stood in the function
    that adds a port. `trips` counts how often that would have ended the guest.
    """

    def __init__(self, rig: ConsoleRig, moment: str, late: Callable[[], None]) -> None:
        self.moment, self.late, self.trips = moment, late, 0
        self.stop = threading.Event()
        super().__init__(rig)

    def enable_early(self) -> None:
        with self.lock:
            status = self.driver.status
            self.trips += bool(status & 4)
            self.driver.set("device_status", status | 4)

    def add(self, number: int) -> None:
        super().add(number)
        self.enable_early()

    def start(self) -> None:
        worker = threading.Thread(target=self.work_item)
        if self.moment == "before":
            self.late()
        super().start()
        worker.start()
        if self.moment == "during":
            self.late()
        self.enable_early()  # what the core does when probe has returned
        if self.moment == "after":
            self.until(lambda: len(self.ports) >= 1)
            self.late()
        wait_for(lambda: sum(bool(port.name) for port in self.ports.values()) == 4)
        self.stop.set()
        worker.join()

    def work_item(self) -> None:
        while not self.stop.is_set():
            if not self.work():
                self.stop.wait(0.0005)


@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_30_four_named_ports_and_a_console_around_driver_ok(make_rig: MakeRig, moment: str) -> None:
    rig = make_rig("console,ring")

    def add_all() -> None:
        for text in NAMED:
            rig.add(text)

    guest = SeedGuest(rig, moment, add_all)

    assert guest.trips >= 5  # each would have been the end of that kernel
    assert rig.driver.status == READY
    assert rig.core.counters()["starts"] == 1
    assert {port.name for port in guest.ports.values()} == {"", "a", "b", "c", "d"}
    assert works(rig, guest)
    adds = [number for number, event, _v, _b in guest.log if event == PORT_ADD]
    assert sorted(adds) == [0, 1, 2, 3, 4]  # once each


def test_30_driver_ok_written_again_starts_nothing_again(make_rig: MakeRig) -> None:
    rig = make_rig(*NAMED)
    guest = rig.guest()
    port, peer = rig.joined(guest, "a")
    said = len(guest.log)
    for _ in range(50):
        rig.driver.set("device_status", READY)
    rig.settle()
    assert rig.core.counters()["starts"] == 1
    assert rig.interrupts(0) == 0
    assert guest.work() == 0
    assert len(guest.log) == said
    peer.sendall(b"still")
    assert port.read(5) == b"still"


# --- 31: lost wake-ups


def test_31_a_hundred_thousand_short_writes_from_two_threads_all_arrive(make_rig: MakeRig) -> None:
    rig = make_rig("name=a,file={dir}/a", "name=b,file={dir}/b")
    guest = rig.guest()
    ports = [guest.open(name) for name in ("a", "b")]
    guest.until(lambda: all(port.host_connected for port in ports))

    def write(port: Any) -> None:
        data = b"".join(struct.pack("<I", n) for n in range(50_000))
        at = 0
        while at < len(data):
            with guest.lock:
                at += port.write(data[at : at + 4 * 64], 4)
        with guest.lock:
            port.drain()

    threads = [threading.Thread(target=write, args=(port,)) for port in ports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("a", "b"):
        data = (rig.folder / name).read_bytes()
        assert struct.unpack("<50000I", data) == tuple(range(50_000))
