"""virtio-net: its control queue, its offloads, and a device that is reset or paused."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from tests.native.netrig import (
    CONTROL,
    CSUM,
    CTRL_RX,
    DEVICE,
    GSO_TCPV4,
    GUEST_CSUM,
    GUEST_TSO4,
    HEADER,
    HOST_TSO4,
    MQ,
    NEEDS_CSUM,
    NO_HEADER,
    OWN_MAC,
    RX,
    TX,
    NetRig,
    bits,
    frame,
    header,
)


@pytest.fixture
def rig() -> Iterator[NetRig]:
    with NetRig() as rig:
        yield rig


# --- control


def test_control_queue_obeys(rig: NetRig) -> None:
    _rx, _tx, control = rig.driver.probe(rig.arena)
    mac = bytes.fromhex("020000000001")
    for data in (
        b"\0\0\1",
        b"\0\1\0",
        b"\1\0" + struct.pack("<I", 1) + mac + struct.pack("<I", 2) + 2 * mac,
        b"\1\1" + mac,
        b"\5\0" + struct.pack("<Q", bits(GUEST_CSUM)),
        b"\5\0" + struct.pack("<Q", 0),
    ):
        assert rig.command(control, data, CONTROL) == 0
    assert bytes(rig.driver.read(DEVICE, i, 1) for i in range(6)) == mac
    rig.driver.reset()
    assert bytes(rig.driver.read(DEVICE, i, 1) for i in range(6)) == OWN_MAC


def test_pairs_are_used_as_far_as_the_driver_says() -> None:
    with NetRig(pairs=4) as rig:
        *rings, control = rig.driver.probe(rig.arena)
        for pair in range(4):
            rig.fill(rings[2 * pair], 2, queue=2 * pair)
        rig.peers[3].send(NO_HEADER + frame(1))
        rings[7].add([NO_HEADER + frame(2)])
        rings[7].publish()
        rig.driver.notify(7)
        rig.settle()
        assert rings[6].collect() == rings[7].collect() == []

        assert rig.command(control, b"\4\0\4\0", 8) == 0
        assert rig.take(rings[6])[0].data[HEADER:] == frame(1)
        assert rig.peers[3].recv(4096)[HEADER:] == frame(2)
        for pair in range(4):
            rig.send(rings[2 * pair + 1], NO_HEADER + frame(pair), queue=2 * pair + 1)
            assert rig.peers[pair].recv(4096)[HEADER:] == frame(pair)


def test_control_queue_is_the_third_without_several_pairs() -> None:
    with NetRig(pairs=4) as rig:
        rings = rig.driver.probe(rig.arena, decline=bits(MQ))
        assert rig.command(rings[2], b"\0\0\1", 2) == 0


# --- life


def test_reset_under_traffic(rig: NetRig) -> None:
    for life in range(20):
        rx, tx, _control = rig.driver.probe(rig.arena)
        rig.fill(rx, 8)
        rig.flood()
        tx.add([NO_HEADER + frame(life)])
        tx.publish()
        rig.driver.notify(TX)
        rig.driver.reset()
        rx.collect()
        before = rx.used_idx
        rig.flood()
        rig.settle()
        rx.collect()
        assert rx.used_idx == before
    _rx, tx, _control = rig.driver.probe(rig.arena)
    rig.send(tx, NO_HEADER + frame(99))
    while rig.peer.recv(4096)[HEADER:] != frame(99):
        pass


def test_queue_can_be_reset_alone(rig: NetRig) -> None:
    rx, tx, _control = rig.driver.probe(rig.arena)
    for number in range(10):
        rig.fill(rx, 4)
        rig.driver.reset_queue(RX)
        rig.send(tx, NO_HEADER + frame(number))
        assert rig.peer.recv(4096)[HEADER:] == frame(number)
        rx = rig.driver.ring(rig.arena, RX)
        rig.driver.enable(RX, rx, 1)
        rig.fill(rx, 4)
        rig.peer.send(NO_HEADER + frame(number))
        assert rig.take(rx)[0].data[HEADER:] == frame(number)


def test_paused_device_moves_nothing_and_goes_on_elsewhere() -> None:
    with NetRig(pairs=2) as rig:
        rx, tx, _rx1, _tx1, control = rig.driver.probe(rig.arena)
        assert rig.command(control, b"\4\0\2\0", 4) == 0
        rig.fill(rx, 4)
        rig.pci.pause()
        rig.peer.send(NO_HEADER + frame(1))
        tx.add([NO_HEADER + frame(2)])
        tx.publish()
        rig.driver.notify(TX)
        rig.settle()
        assert rx.collect() == tx.collect() == []
        saved = rig.pci.save()
        rig.pci.resume()
        assert rig.take(rx)[0].data[HEADER:] == frame(1)
        assert rig.peer.recv(4096)[HEADER:] == frame(2)

        rig.pci.pause()
        saved = rig.pci.save()
        assert saved["device"]["active"] == 2
        rig.pci.load(saved)
        rig.pci.resume()
        rig.send(tx, NO_HEADER + frame(3))
        assert rig.peer.recv(4096)[HEADER:] == frame(3)
        rig.peer.send(NO_HEADER + frame(4))
        assert rig.take(rx)[0].data[HEADER:] == frame(4)


# --- offloads


def test_offloads_that_need_others_are_refused(rig: NetRig) -> None:
    for wanted in (bits(GUEST_TSO4), bits(HOST_TSO4), bits(CTRL_RX), bits(CSUM, 13)):
        rig.driver.reset()
        rig.driver.add_status(3)
        assert not rig.driver.accept(1 << 32 | wanted)


def test_header_of_a_long_packet_is_passed_on(rig: NetRig) -> None:
    _rx, tx, _control = rig.driver.probe(rig.arena)
    own = header(NEEDS_CSUM | 0x7E, GSO_TCPV4, 0xFFFF, 1448, 34, 16, buffers=77)
    rig.send(tx, own + frame(1, 30_000))

    assert rig.peer.recv(65536)[:HEADER] == header(NEEDS_CSUM, GSO_TCPV4, 30_000, 1448, 34, 16)
