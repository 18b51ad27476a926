"""What a console's driver must not say, and what comes of it; numbers as in docs/console.md."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.native.vconrig import NAMED, MakeRig, works
from tests.vcondriver import (
    DEVICE_READY,
    HEADER,
    PORT_ADD,
    PORT_NAME,
    PORT_OPEN,
    PORT_READY,
)
from tests.virtiopci import DEVICE, READY, wait_for

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
