"""virtio-net: packets both ways, merged buffers, flow control, what the control queue obeys."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator

import pytest

from tests.native.netrig import (
    CTRL_RX,
    CTRL_VQ,
    DEVICE,
    HEADER,
    MAC,
    MQ,
    MRG_RXBUF,
    NO_HEADER,
    OWN_MAC,
    RX,
    STATUS,
    TX,
    NetRig,
    bits,
    frame,
    header,
)
from tests.virtiopci import wait_for


@pytest.fixture
def rig() -> Iterator[NetRig]:
    with NetRig() as rig:
        yield rig


def test_device_says_what_it_is(rig: NetRig) -> None:
    rig.driver.negotiate()
    offered = rig.driver.offered()

    assert rig.config_space.read(0) == 0x1041_1AF4
    assert rig.config_space.read(8) >> 16 == 0x0200
    assert offered & bits(MAC, STATUS, MRG_RXBUF, CTRL_VQ, CTRL_RX) == bits(
        MAC, STATUS, MRG_RXBUF, CTRL_VQ, CTRL_RX
    )
    assert not offered & bits(MQ, 3)
    assert bytes(rig.driver.read(DEVICE, i, 1) for i in range(6)) == OWN_MAC
    assert rig.driver.read(DEVICE, 6, 2) == 1  # the link is up


def test_mtu_and_pairs_are_told_when_there_are_some() -> None:
    with NetRig(pairs=3, mtu=9000) as rig:
        assert rig.driver.offered() & bits(3, MQ) == bits(3, MQ)
        assert rig.driver.read(DEVICE, 8, 2) == 3
        assert rig.driver.read(DEVICE, 10, 2) == 9000
        assert rig.driver.get("num_queues") == 7


@pytest.mark.parametrize("cut", [[], [12], [5], [12, 30], [1, 2, 3, 4, 13]])
def test_packet_in_pieces_reaches_the_wire_whole(rig: NetRig, cut: list[int]) -> None:
    _rx, tx, _control = rig.driver.probe(rig.arena)
    packet = NO_HEADER + frame(7, 300)
    edges = [0, *cut, len(packet)]
    tx.add([packet[a:b] for a, b in itertools.pairwise(edges)])
    rig.exchange(TX, tx)

    assert rig.peer.recv(4096) == packet
    assert rig.counter("tx_packets") == 1
    assert rig.counter("tx_bytes") == 300


def test_packet_in_an_indirect_table_reaches_the_wire(rig: NetRig) -> None:
    _rx, tx, _control = rig.driver.probe(rig.arena)
    tx.add([NO_HEADER, *(frame(1, 1000)[i : i + 50] for i in range(0, 1000, 50))], indirect=True)
    rig.exchange(TX, tx)

    assert rig.peer.recv(4096) == NO_HEADER + frame(1, 1000)


def test_many_packets_keep_their_order(rig: NetRig) -> None:
    _rx, tx, _control = rig.driver.probe(rig.arena)
    for first in range(0, 2000, 4):
        rig.send(tx, *(NO_HEADER + frame(first + n) for n in range(4)))
        for n in range(4):
            assert rig.peer.recv(4096)[HEADER:] == frame(first + n)


def test_received_packet_lies_in_one_buffer(rig: NetRig) -> None:
    rx, _tx, _control = rig.driver.probe(rig.arena)
    rig.fill(rx, 4)
    rig.peer.send(NO_HEADER + frame(3, 200))
    [used] = rig.take(rx)

    assert used.data[:HEADER] == header(buffers=1)
    assert used.data[HEADER:] == frame(3, 200)
    assert rig.counter("rx_packets") == 1
    assert rig.counter("rx_bytes") == 200


@pytest.mark.parametrize("size", [HEADER, 20, 100, 1536])
def test_long_packet_is_merged_from_buffers(rig: NetRig, size: int) -> None:
    rx, _tx, _control = rig.driver.probe(rig.arena)
    length = min(60_000, 200 * size)
    count = -(-(HEADER + length) // size)
    for number in range(3):
        rig.fill(rx, count, size)
        rig.peer.send(NO_HEADER + frame(number, length))
        got = rig.take(rx, count)
        data = b"".join(used.data for used in got)
        assert data[:HEADER] == header(buffers=count)
        assert data[HEADER:] == frame(number, length)
        assert [used.written for used in got[:-1]] == [size] * (count - 1)


def test_packet_longer_than_the_only_buffer_is_dropped_without_merging(rig: NetRig) -> None:
    rx, _tx, _control = rig.driver.probe(rig.arena, decline=bits(MRG_RXBUF))
    rig.fill(rx, 3, 500)
    rig.peer.send(NO_HEADER + frame(1, 1000))
    rig.peer.send(NO_HEADER + frame(2, 400))
    [used] = rig.take(rx)

    assert used.data == header(buffers=1) + frame(2, 400)
    assert rig.counter("rx_dropped") == 1


def test_packet_longer_than_the_whole_ring_is_dropped(rig: NetRig) -> None:
    rig.driver.negotiate()
    rx = rig.driver.ring(rig.arena, RX, 4)
    rig.driver.enable(RX, rx, 1)
    rig.driver.start()
    rig.fill(rx, 4, 100)
    rig.peer.send(NO_HEADER + frame(1, 1000))
    rig.peer.send(NO_HEADER + frame(2, 300))
    got = rig.take(rx, 4)

    assert b"".join(used.data for used in got) == header(buffers=4) + frame(2, 300)
    assert rig.counter("rx_dropped") == 1


def test_packets_wait_on_the_wire_until_there_is_room(rig: NetRig) -> None:
    rx, _tx, _control = rig.driver.probe(rig.arena)
    for number in range(5):
        rig.peer.send(NO_HEADER + frame(number))
    rig.settle()
    assert rig.counter("rx_packets") == 0
    wakeups = rig.loop.counters()["dispatched"]
    for number in range(5, 8):
        rig.peer.send(NO_HEADER + frame(number))
    rig.settle()
    assert rig.loop.counters()["dispatched"] - wakeups <= 1  # it looks away

    for number in range(8):
        rig.fill(rx, 1)
        assert rig.take(rx)[0].data[HEADER:] == frame(number)


def test_long_packet_waits_for_the_rest_of_its_buffers(rig: NetRig) -> None:
    rx, _tx, _control = rig.driver.probe(rig.arena)
    rig.fill(rx, 2, 500)
    rig.settle()
    before = rig.counter("rx_waits")
    rig.peer.send(NO_HEADER + frame(1, 2000))
    wait_for(lambda: rig.counter("rx_waits") > before, "the device to wait")
    assert rx.collect() == []
    rig.fill(rx, 2, 500)
    wait_for(lambda: rig.counter("rx_waits") > before + 1, "the device to wait again")
    assert rx.collect() == []
    rig.fill(rx, 1, 500)
    got = rig.take(rx, 5)

    assert b"".join(used.data for used in got) == header(buffers=5) + frame(1, 2000)


def test_without_event_indices_packets_wait_too() -> None:
    with NetRig() as rig:
        rx, tx, _control = rig.driver.probe(rig.arena, decline=1 << 29)
        for number in range(3):
            rig.peer.send(NO_HEADER + frame(number))
        for number in range(3):
            rig.fill(rx, 1)
            assert rig.take(rx)[0].data[HEADER:] == frame(number)
            rig.send(tx, NO_HEADER + frame(number))
            assert rig.peer.recv(4096)[HEADER:] == frame(number)


def test_full_wire_holds_the_guest_back(rig: NetRig) -> None:
    _rx, tx, _control = rig.driver.probe(rig.arena)
    count = 200
    for number in range(count):
        tx.add([NO_HEADER + frame(number, 20_000)])
    tx.publish()
    rig.driver.notify(TX)
    wait_for(lambda: rig.counter("tx_waits"), "a full socket")
    assert rig.counter("tx_packets") < count
    for number in range(count):
        assert rig.peer.recv(65536)[HEADER:] == frame(number, 20_000)
    assert len(rig.take(tx, count)) == count


def test_used_buffers_are_announced_once_a_batch(rig: NetRig) -> None:
    rx, tx, _control = rig.driver.probe(rig.arena)
    with rig.stuck():
        rig.fill(rx, 40)
        for number in range(40):
            rig.peer.send(NO_HEADER + frame(number)) if number < 8 else None
            tx.add([NO_HEADER + frame(number)]) if number < 8 else None
        tx.publish()
        rig.driver.notify(TX)
    rig.take(rx, 8)
    rig.take(tx, 8)

    assert rig.core.counters()["interrupts"] <= 2


def test_link_goes_down_with_its_other_end() -> None:
    with NetRig(kind=socket.SOCK_SEQPACKET) as rig:
        rx, _tx, _control = rig.driver.probe(rig.arena)
        rig.fill(rx, 1)
        rig.peer.close()
        wait_for(lambda: rig.counter("lost"), "the end")
        rig.await_interrupt(0)

        assert rig.driver.read(DEVICE, 6, 2) == 0
