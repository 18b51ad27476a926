"""Drivers of a virtio console, old, odd and hostile; numbers as in docs/console.md."""

from __future__ import annotations

import random
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.native.legacydriver import ACCEPT, CONFIG, FEATURES, STATUS, LegacyDriver
from tests.native.vconrig import ConsoleRig, receive
from tests.native.virtiorig import SLOT
from tests.vcondriver import (
    CONSOLE_PORT,
    DEVICE_READY,
    EMERG_WRITE,
    HEADER,
    MULTIPORT,
    PORT_ADD,
    PORT_NAME,
    PORT_OPEN,
    PORT_READY,
    SIZE,
    GuestConsole,
)
from tests.virtiodriver import DriverRing
from tests.virtiopci import DEVICE, READY, wait_for
from vmm.virtio.transport import TransportConfig

NAMED = tuple(f"name={name},socket={{dir}}/{name}.sock" for name in ("a", "b", "c", "d"))
MakeRig = Callable[..., ConsoleRig]


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[MakeRig]:
    made: list[ConsoleRig] = []

    def make(*ports: str, kind: type[ConsoleRig] = ConsoleRig, **more: Any) -> ConsoleRig:
        made.append(kind(tmp_path, *ports, **more))
        return made[-1]

    yield make
    for rig in made:
        rig.__exit__()


def works(rig: ConsoleRig, guest: GuestConsole) -> bool:
    """A port of that driver still carries bytes both ways."""
    port, peer = rig.joined(guest, "a")
    peer.sendall(b"ping")
    assert port.read(4) == b"ping"
    port.write_all(b"pong")
    assert receive(peer, 4) == b"pong"
    return True


# --- what the device offers


def test_features_and_configuration_are_those_of_the_specification(make_rig: MakeRig) -> None:
    rig = make_rig("console,ring")
    rig.console.resize(132, 43)

    assert rig.driver.offered() & 7 == SIZE | MULTIPORT | EMERG_WRITE
    assert rig.driver.get("num_queues") == 18
    assert rig.driver.read(DEVICE, 0, 2) == 132
    assert rig.driver.read(DEVICE, 2, 2) == 43
    assert rig.driver.read(DEVICE, 4, 4) == 8
    assert rig.driver.read(DEVICE, 8, 4) == 0


# --- 26: the window


def test_26_window_of_a_device_without_ports_is_in_its_configuration(make_rig: MakeRig) -> None:
    rig = make_rig("console,ring", options={"max_ports": 1, "multiport": False})
    rig.console.resize(80, 25)
    rig.guest()
    assert rig.interrupts(0) == 0  # no change since the driver looked
    generation = rig.driver.get("config_generation")

    rig.console.resize(100, 40)

    rig.await_interrupt(0)
    assert rig.driver.get("config_generation") != generation
    assert (rig.driver.read(DEVICE, 0, 2), rig.driver.read(DEVICE, 2, 2)) == (100, 40)


@pytest.mark.parametrize(("order", "window"), [("linux", (25, 80)), ("spec", (80, 25))])
def test_26_window_of_a_port_comes_in_either_order(
    make_rig: MakeRig, order: str, window: tuple[int, int]
) -> None:
    rig = make_rig("console,ring", options={"resize_order": order})
    rig.console.resize(80, 25)
    guest = rig.guest()
    guest.until(lambda: 0 in guest.ports and guest.ports[0].window == window)
    events = [event for number, event, _value, _body in guest.log if number == 0]
    assert events.index(CONSOLE_PORT) < events.index(5)

    rig.console.resize(300, 7)

    expected = (7, 300) if order == "linux" else (300, 7)
    guest.until(lambda: guest.ports[0].window == expected)


# --- 27: the emergency register


@pytest.mark.parametrize("size", [1, 2, 4])
def test_27_emergency_write_needs_no_driver(make_rig: MakeRig, size: int) -> None:
    rig = make_rig("console,ring")
    for byte in b"help":
        rig.driver.write(DEVICE, 8, byte, size)
    assert rig.console.ports[0].chan.take(10) == b"help"
    assert rig.driver.read(DEVICE, 8, 4) == 0
    assert rig.driver.status == 0
    assert rig.count("emergency") == 4


def test_27_emergency_write_works_beside_a_driver_that_declined_it(make_rig: MakeRig) -> None:
    rig = make_rig("console,ring")
    guest = rig.guest(decline=EMERG_WRITE)
    guest.until(lambda: 0 in guest.ports)
    rig.driver.write(DEVICE, 8, ord("!"), 1)
    rig.driver.write(DEVICE, 9, ord("x"), 1)  # not the character's byte
    rig.driver.write(DEVICE, 0, 7, 4)  # not writable
    assert rig.console.ports[0].chan.take(10) == b"!"


def test_27_emergency_write_without_a_console_vanishes(make_rig: MakeRig) -> None:
    rig = make_rig("name=a,ring")
    rig.driver.write(DEVICE, 8, ord("!"), 1)
    assert rig.console.ports[1].chan.take(10) == b""
    assert rig.count("emergency") == 0


# --- 28: kicks before DRIVER_OK


def test_28_modern_device_waits_for_driver_ok_and_then_looks_everywhere(make_rig: MakeRig) -> None:
    rig = make_rig("console,ring", *NAMED)
    driver = rig.driver
    driver.negotiate()
    rings = [driver.ring(rig.arena, queue) for queue in range(driver.get("num_queues"))]
    for queue, ring in enumerate(rings):
        driver.enable(queue, ring, queue + 1)
    for _ in range(8):
        rings[2].add([], [4096])
    rings[3].add([HEADER.pack(0, DEVICE_READY, 1)])
    for queue in (2, 3):
        rings[queue].publish()
        driver.notify(queue)
    rig.settle()
    assert rings[3].collect() == rings[2].collect() == []

    driver.start()

    wait_for(rings[3].collect, "the packet to be taken")
    seen: list[bytes] = []
    wait_for(lambda: seen.extend(used.data for used in rings[2].collect()) or len(seen) == 5)
    assert [HEADER.unpack(data)[:2] for data in seen] == [(n, PORT_ADD) for n in range(5)]


class LegacyConsoleRig(ConsoleRig):
    """Behind the interface of before virtio 1.0."""

    def __init__(self, folder: Path, *ports: str, **more: Any) -> None:
        super().__init__(folder, *ports, transport=TransportConfig(legacy=True), msix=False, **more)

    def make_driver(self) -> Any:
        return LegacyDriver(self._probes["pio"], self._probes["mmio"], SLOT << 3)


def test_28_legacy_driver_waits_busily_for_its_packet_before_driver_ok(make_rig: MakeRig) -> None:
    """Linux before 3.18: DEVICE_READY from probe, spinning until it was taken, DRIVER_OK later."""
    rig = make_rig("console,ring", *NAMED, kind=LegacyConsoleRig)
    driver: Any = rig.driver
    driver.reset()
    driver.set(STATUS, 1 | 2, 1)
    assert driver.get(FEATURES, 4) & 7 == SIZE | MULTIPORT | EMERG_WRITE
    driver.set(ACCEPT, SIZE | MULTIPORT, 4)
    assert driver.get(CONFIG + 4, 4) == 8
    rings: list[DriverRing] = [driver.ring(rig.arena, queue) for queue in range(18)]
    for _ in range(32):
        rings[2].add([], [4096])
    rings[2].publish()
    driver.notify(2)
    rings[3].add([HEADER.pack(0, DEVICE_READY, 1)])
    rings[3].publish()
    driver.notify(3)

    wait_for(rings[3].collect, "the packet to be taken")

    assert driver.get(STATUS, 1) == 3
    added: list[int] = []
    wait_for(
        lambda: (
            added.extend(HEADER.unpack(used.data)[0] for used in rings[2].collect())
            or len(added) == 5
        )
    )
    assert added == [0, 1, 2, 3, 4]
    rings[3].add([HEADER.pack(0, PORT_READY, 1)])
    rings[3].publish()
    driver.notify(3)
    rings[1].add([b"early words"])
    rings[1].publish()
    driver.notify(1)
    wait_for(rings[1].collect, "output of port 0")
    assert rig.console.ports[0].chan.take(20) == b"early words"
    driver.set(STATUS, 7, 1)
    driver.set(STATUS, 7, 1)
    assert driver.get(STATUS, 1) == 7


# --- 29: what a driver must not say

BAD_PACKETS = {
    "empty": b"",
    "one byte": b"\0",
    "seven bytes": HEADER.pack(1, PORT_OPEN, 1)[:7],
    "no such port": HEADER.pack(7, PORT_OPEN, 1),
    "port beyond all": HEADER.pack(8, PORT_READY, 1),
    "port beyond 64": HEADER.pack(64, PORT_READY, 1),
    "greatest port": HEADER.pack(0xFFFFFFFF, PORT_OPEN, 1),
    "sign bit": HEADER.pack(0x80000001, PORT_OPEN, 1),
    "device's own event": HEADER.pack(1, PORT_ADD, 1),
    "a name": HEADER.pack(1, PORT_NAME, 1) + b"new",
    "unknown event": HEADER.pack(1, 8, 1),
    "greatest event": HEADER.pack(1, 0xFFFF, 0xFFFF),
}


@pytest.mark.parametrize("packet", BAD_PACKETS.values(), ids=BAD_PACKETS)
def test_29_packet_that_cannot_be_is_counted_and_changes_nothing(
    make_rig: MakeRig, packet: bytes
) -> None:
    rig = make_rig(*NAMED)
    guest = rig.guest()
    guest.port("a")
    before = rig.count("control_ignored")
    guest.send(packet)
    guest.send(packet)
    assert rig.count("control_ignored") == before + 2
    assert rig.driver.status == READY
    assert works(rig, guest)


def test_29_oversized_packet_counts_as_its_beginning(make_rig: MakeRig) -> None:
    rig = make_rig(*NAMED)
    guest = rig.guest()
    guest.port("a")
    guest.send(HEADER.pack(1, PORT_OPEN, 1) + b"x" * 3000)
    wait_for(lambda: rig.console.ports[1].guest_open)
    assert works(rig, guest)


def test_29_packet_in_pieces_is_put_together(make_rig: MakeRig) -> None:
    rig = make_rig(*NAMED)
    guest = rig.guest()
    guest.port("a")
    packet = HEADER.pack(1, PORT_OPEN, 1)
    guest.control_tx.add([bytes([byte]) for byte in packet])
    guest.control_tx.publish()
    guest.notify(3)
    wait_for(lambda: rig.console.ports[1].guest_open)


def test_29_flood_of_packets_leaves_a_device_that_works(make_rig: MakeRig) -> None:
    rig = make_rig(*NAMED)
    guest = rig.guest()
    guest.port("a")
    rng = random.Random(29)
    for _ in range(300):
        for _ in range(guest.control_tx.size):
            number, event = rng.randrange(6), rng.choice((PORT_OPEN, PORT_OPEN, PORT_READY, 0, 9))
            guest.control_tx.add([HEADER.pack(number, event, rng.randrange(2))])
        guest.control_tx.publish()
        guest.notify(3)
        wait_for(lambda: guest.control_tx.collect() and not guest.control_tx.chains)
    guest.say(0, DEVICE_READY, 1)
    for number in range(1, 5):
        guest.say(number, PORT_READY, 1)
        guest.say(number, PORT_OPEN, 0)
    assert works(rig, guest)
    assert rig.driver.status == READY
    assert sum(name == "PORT_CHANGE" for name, _ in rig.events) < 38_400


def test_29_failed_device_and_failed_port_are_counted(make_rig: MakeRig) -> None:
    rig = make_rig(*NAMED)
    guest = rig.guest()
    guest.port("b")
    guest.say(2, PORT_READY, 0)
    guest.say(0, DEVICE_READY, 0)
    assert (rig.count("port_failed"), rig.count("device_failed")) == (1, 1)
    guest.say(0, DEVICE_READY, 1)
    assert works(rig, guest)


@pytest.mark.parametrize("length", [1, 7])
def test_29_buffer_too_small_for_a_message_is_given_back_empty(
    make_rig: MakeRig, length: int
) -> None:
    rig = make_rig(*NAMED)
    driver = rig.driver
    rings = driver.probe(rig.arena)
    small = [rings[2].add([], [length]) for _ in range(3)]
    large = rings[2].add([], [4, 4, 300])
    rings[2].publish()
    driver.notify(2)
    rings[3].add([HEADER.pack(0, DEVICE_READY, 1)])
    rings[3].publish()
    driver.notify(3)
    done: list[Any] = []
    wait_for(lambda: done.extend(rings[2].collect()) or len(done) == 4)
    assert [used.chain for used in done] == [*small, large]
    assert [used.written for used in done] == [0, 0, 0, 8]


def test_29_broken_ring_of_one_port_asks_for_a_reset(make_rig: MakeRig) -> None:
    rig = make_rig(*NAMED)
    guest = rig.guest()
    port, peer = rig.joined(guest, "a")
    port.tx.set_avail(port.tx.avail_idx, 999)  # no such descriptor
    port.tx.set_avail_idx(port.tx.avail_idx + 1)
    guest.notify(port.tx_queue)
    wait_for(lambda: rig.driver.status & 0x40)
    peer.close()
    assert works(rig, rig.guest())


@pytest.mark.parametrize("seed", range(4))
def test_29_random_rings_and_registers_never_stop_the_host(make_rig: MakeRig, seed: int) -> None:
    rng = random.Random(seed)
    rig = make_rig("console,ring", *NAMED)
    for _ in range(6):
        rings = rig.driver.probe(rig.arena)
        for _ in range(60):
            ring = rng.choice(rings)
            place = rng.choice((ring.desc, ring.avail, ring.used)) + rng.randrange(64)
            ring.memory.write(place, rng.randbytes(rng.randrange(1, 24)))
            rig.driver.notify(rng.randrange(len(rings)))
            if rng.random() < 0.2:
                rig.driver.write(DEVICE, rng.randrange(16), rng.randrange(256), 1)
            if rng.random() < 0.05:
                rig.driver.reset_queue(rng.randrange(len(rings)))
        rig.settle()
    assert works(rig, rig.guest())


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
