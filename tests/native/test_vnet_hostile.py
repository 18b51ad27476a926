"""virtio-net against drivers that break the rules: dropped and counted, refused, or a reset."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from tests.native.netrig import (
    CONTROL,
    CSUM,
    CTRL_MAC_ADDR,
    CTRL_RX,
    GSO_ECN,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP,
    GUEST_CSUM,
    GUEST_ECN,
    GUEST_OFFLOADS,
    GUEST_TSO4,
    GUEST_TSO6,
    GUEST_UFO,
    HEADER,
    HOST_ECN,
    HOST_TSO4,
    HOST_TSO6,
    HOST_UFO,
    NEEDS_CSUM,
    NO_HEADER,
    RX,
    TX,
    NetRig,
    bits,
    frame,
    header,
)
from tests.virtiodriver import DESC_NEXT, DESC_WRITE, DriverRing
from tests.virtiopci import NEEDS_RESET, wait_for

ALL_CSUM = bits(CSUM, GUEST_CSUM, GUEST_TSO4, GUEST_TSO6, GUEST_ECN, GUEST_UFO, HOST_TSO4,
                HOST_TSO6, HOST_ECN, HOST_UFO)  # fmt: skip


@pytest.fixture
def rig() -> Iterator[NetRig]:
    with NetRig() as rig:
        yield rig


# Headers, and what the driver declined.
BAD_HEADERS = {
    "checksum without the feature": (header(NEEDS_CSUM, start=34, offset=16), ALL_CSUM),
    "checksum starts behind the end": (header(NEEDS_CSUM, start=99), 0),
    "checksum ends behind the end": (header(NEEDS_CSUM, start=40, offset=19), 0),
    "checksum whose place wraps": (header(NEEDS_CSUM, start=0xFFFF, offset=0xFFFF), 0),
    "unknown way of cutting": (header(NEEDS_CSUM, gso=2, size=100), 0),
    "another unknown way": (header(NEEDS_CSUM, gso=0x7F, size=100), 0),
    "congestion mark alone": (header(NEEDS_CSUM, gso=GSO_ECN, size=100), 0),
    "pieces of no bytes": (header(NEEDS_CSUM, gso=GSO_TCPV4, size=0), 0),
    "cutting without a checksum": (header(0, gso=GSO_TCPV4, size=100), 0),
    "TCP 4 without the feature": (
        header(NEEDS_CSUM, gso=GSO_TCPV4, size=100), bits(HOST_TSO4, HOST_ECN)
    ),
    "TCP 6 without the feature": (
        header(NEEDS_CSUM, gso=GSO_TCPV6, size=100), bits(HOST_TSO6)
    ),
    "UDP without the feature": (header(NEEDS_CSUM, gso=GSO_UDP, size=100), bits(HOST_UFO)),
    "congestion mark without the feature": (
        header(NEEDS_CSUM, gso=GSO_TCPV4 | GSO_ECN, size=100), bits(HOST_ECN)
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_HEADERS)
def test_bad_header_is_dropped_and_counted(rig: NetRig, case: str) -> None:
    bad, declined = BAD_HEADERS[case]
    _rx, tx, _control = rig.driver.probe(rig.arena, decline=declined)
    rig.send(tx, bad + frame(1), NO_HEADER + frame(2))

    assert rig.peer.recv(4096) == NO_HEADER + frame(2)
    assert rig.counter("tx_bad_header") == 1
    assert not rig.driver.status & NEEDS_RESET


@pytest.mark.parametrize("length", [0, 1, 13, 65_554, 200_000])
def test_packet_that_is_no_frame_is_dropped_and_counted(rig: NetRig, length: int) -> None:
    _rx, tx, _control = rig.driver.probe(rig.arena)
    rig.send(tx, NO_HEADER + bytes(length), NO_HEADER + frame(2))

    assert rig.peer.recv(4096) == NO_HEADER + frame(2)
    assert rig.counter("tx_dropped") == 1


# Chains that the device cannot take: queue, device-readable pieces, lengths of writable ones.
BAD_CHAINS: dict[str, tuple[int, list[bytes], list[int]]] = {
    "no whole header": (TX, [NO_HEADER[:11]], []),
    "nothing at all": (TX, [b""], []),
    "packet to be written to": (TX, [], [100]),
    "packet with an answer": (TX, [NO_HEADER + frame(1)], [1]),
    "buffer without room for a header": (RX, [], [11]),
    "buffer without room": (RX, [], [0]),
    "buffer to be read": (RX, [b"12345678901234"], []),
    "buffer with something to read": (RX, [b"x"], [1500]),
    "command without a class": (CONTROL, [b"\0"], [1]),
    "nothing of a command": (CONTROL, [], [1]),
    "command without an answer": (CONTROL, [b"\0\0\1"], []),
}


@pytest.mark.parametrize("case", BAD_CHAINS)
def test_bad_chain_makes_the_device_want_a_reset(rig: NetRig, case: str) -> None:
    queue, out, into = BAD_CHAINS[case]
    rings = rig.driver.probe(rig.arena)
    rig.peer.send(NO_HEADER + frame(1))
    rings[queue].add(out, into)
    rings[queue].publish()
    rig.driver.notify(queue)
    wait_for(lambda: rig.driver.status & NEEDS_RESET, "the need of a reset")
    wait_for(lambda: rig.events, "the event")
    assert rig.events[0][1]["why"] == "a request that the device cannot take"

    rig.driver.reset()
    _rx, tx, _control = rig.driver.probe(rig.arena)
    rig.send(tx, NO_HEADER + frame(2))
    assert rig.peer.recv(4096)[HEADER:] == frame(2)


def _loop(ring: DriverRing) -> None:
    ring.set_desc(0, ring.arena.alloc(64), 64, DESC_NEXT, 1)
    ring.set_desc(1, ring.arena.alloc(64), 64, DESC_NEXT, 0)


def _outside(ring: DriverRing) -> None:
    ring.set_desc(0, 1 << 40, 100)


def _next_outside(ring: DriverRing) -> None:
    ring.set_desc(0, ring.arena.alloc(64), 64, DESC_NEXT, 5000)


def _huge(ring: DriverRing) -> None:
    for i in range(4):
        ring.set_desc(i, 0x100000, 0xFFFFFFFF, DESC_WRITE | DESC_NEXT * (i < 3), i + 1)


@pytest.mark.parametrize("queue", [RX, TX, CONTROL])
@pytest.mark.parametrize("spoil", [_loop, _outside, _next_outside, _huge])
def test_bad_ring_makes_the_device_want_a_reset(
    rig: NetRig, queue: int, spoil: Callable[[DriverRing], None]
) -> None:
    rings = rig.driver.probe(rig.arena)
    rig.peer.send(NO_HEADER + frame(1))
    spoil(rings[queue])
    rings[queue].offer(0)
    rings[queue].publish()
    rig.driver.notify(queue)
    wait_for(lambda: rig.driver.status & NEEDS_RESET, "the need of a reset")


def test_second_buffer_of_a_packet_is_checked_too(rig: NetRig) -> None:
    rx, _tx, _control = rig.driver.probe(rig.arena)
    rx.add([], [100])
    rx.add([b"readable"], [1500])
    rx.publish()
    rig.driver.notify(RX)
    rig.peer.send(NO_HEADER + frame(1, 1000))
    wait_for(lambda: rig.driver.status & NEEDS_RESET, "the need of a reset")


MAC = bytes.fromhex("020000000001")
REFUSED = {
    "unknown class": b"\x77\0\0",
    "unknown command": b"\0\x77\0",
    "class and command alone": b"\0\0",
    "mode of two bytes": b"\0\0\1\0",
    "mode that is neither": b"\0\0\2",
    "modes that were not offered": b"\0\2\1",
    "VLANs that were not offered": b"\2\0\1\0",
    "announcement that was not asked for": b"\3\0",
    "short address": b"\1\1" + MAC[:5],
    "long address": b"\1\1" + MAC + b"\0",
    "address of a group": b"\1\1\1\0\0\0\0\1",
    "table without a length": b"\1\0\1\0",
    "table shorter than it says": b"\1\0" + struct.pack("<I", 2) + MAC + struct.pack("<I", 0),
    "table that would wrap": b"\1\0" + struct.pack("<I", 0xFFFFFFFF) + struct.pack("<I", 0),
    "one table": b"\1\0" + struct.pack("<I", 1) + MAC,
    "tables with something behind": b"\1\0" + struct.pack("<II", 0, 0) + b"\0",
    "no pairs": b"\4\0\0\0",
    "more pairs than there are": b"\4\0\3\0",
    "all pairs of the world": b"\4\0\xff\xff",
    "pairs in one byte": b"\4\0\1",
    "hashing that was not offered": b"\4\1" + bytes(40),
    "offloads in four bytes": b"\5\0" + bytes(4),
    "offload of the host": b"\5\0" + struct.pack("<Q", bits(HOST_TSO4)),
    "offload that was declined": b"\5\0" + struct.pack("<Q", bits(GUEST_UFO)),
    "offloads of all bits": b"\5\0" + b"\xff" * 8,
}


@pytest.fixture(scope="module")
def two_pairs() -> Iterator[tuple[NetRig, DriverRing]]:
    with NetRig(pairs=2) as rig:
        *_rings, control = rig.driver.probe(rig.arena, decline=bits(GUEST_UFO))
        yield rig, control


@pytest.mark.parametrize("case", REFUSED)
def test_command_is_refused(two_pairs: tuple[NetRig, DriverRing], case: str) -> None:
    rig, control = two_pairs
    before = rig.counter("control_refused")

    assert rig.command(control, REFUSED[case], 4) == 1
    assert rig.counter("control_refused") == before + 1
    assert rig.command(control, b"\0\0\1", 4) == 0


def test_commands_of_features_that_were_declined_are_refused() -> None:
    with NetRig(pairs=2) as rig:
        declined = bits(CTRL_RX, CTRL_MAC_ADDR, GUEST_OFFLOADS)
        *_rings, control = rig.driver.probe(rig.arena, decline=declined)
        for data in (b"\0\0\1", b"\1\1" + MAC, b"\5\0" + bytes(8)):
            assert rig.command(control, data, 4) == 1


def test_runt_from_the_wire_is_dropped(rig: NetRig) -> None:
    rx, _tx, _control = rig.driver.probe(rig.arena)
    rig.fill(rx, 2)
    for length in (1, 11, 12):
        rig.peer.send(bytes(length))
    rig.peer.send(NO_HEADER + frame(1))

    assert rig.take(rx)[0].data[HEADER:] == frame(1)
    assert rig.counter("rx_dropped") == 3


# --- the other end


def test_empty_datagram_is_dropped_and_the_link_stays(rig: NetRig) -> None:
    rx, _tx, _control = rig.driver.probe(rig.arena)
    rig.fill(rx, 4)
    rig.peer.send(b"")
    rig.peer.send(NO_HEADER + frame(7))

    [used] = rig.take(rx)

    assert used.data[HEADER:] == frame(7)
    assert (rig.counter("rx_dropped"), rig.counter("lost")) == (1, 0)


def test_refused_datagram_is_not_the_end() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ours.setblocking(False)
        ours.connect(peer.getsockname())
        here = ours.getsockname()
        with NetRig(wire=[ours]) as rig:
            rx, tx, _control = rig.driver.probe(rig.arena)
            rig.fill(rx, 4)
            port = peer.getsockname()[1]
            peer.close()
            rig.send(tx, NO_HEADER + frame(1))
            wait_for(lambda: rig.counter("rx_dropped"), "the refusal")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
                back.bind(("127.0.0.1", port))
                back.sendto(NO_HEADER + frame(2), here)
                [used] = rig.take(rx)

            assert used.data[HEADER:] == frame(2)
            assert rig.counter("lost") == 0
