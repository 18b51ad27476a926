"""A network card on a real tap."""

from __future__ import annotations

import array
import fcntl
import os
import socket
import struct

import pytest

from tests.native.netrig import (
    CSUM,
    DEVICE,
    HOST_TSO4,
    HOST_TSO6,
    MQ,
    NO_HEADER,
    TapRig,
    bits,
    frame,
    header,
)
from tests.virtiodriver import DriverRing
from tests.virtiopci import wait_for
from vmm.host import net

NAME = f"vmmc{os.getpid() % 100000}"
pytestmark = pytest.mark.needs("root", "tap")


def test_packets_go_both_ways_through_a_tap() -> None:
    with TapRig(NAME) as rig:
        rx, tx, _control = rig.driver.probe(rig.arena)
        rig.fill(rx, 64)
        for number in range(100):
            rig.send(tx, NO_HEADER + frame(number))
            assert rig.wire.recv(4096) == frame(number)
        rig.wire.send(frame(5, 300))
        got: list[bytes] = []
        wait_for(lambda: got.extend(rig.collect(rx)) or got, "a packet")
        assert got == [header(buffers=1) + frame(5, 300)]
    assert not net.exists(NAME)


def test_pairs_that_are_not_used_get_no_packets() -> None:
    with TapRig(NAME, queues=2) as rig:
        rx0, _tx0, rx1, tx1, control = rig.driver.probe(rig.arena)
        rig.settle()  # from here on the tap knows
        assert rig.driver.offered() >> MQ & 1
        for queue, ring in ((0, rx0), (2, rx1)):
            rig.fill(ring, 200, queue=queue)

        def received(rings: tuple[DriverRing, ...], count: int) -> list[int]:
            """Sends until `count` packets came in; how many through each ring."""
            counts = [0 for _ in rings]
            for number in range(count):
                rig.wire.send(frame(number))
            for _ in range(2000):
                for i, ring in enumerate(rings):
                    counts[i] += len(rig.collect(ring))
                if sum(counts) >= count:
                    break
                rig.settle()
            return counts

        assert received((rx0, rx1), 20) == [20, 0]
        assert rig.command(control, b"\4\0\2\0", 4) == 0
        rig.send(tx1, NO_HEADER + frame(1), queue=3)
        assert rig.wire.recv(4096) == frame(1)
        assert sum(received((rx0, rx1), 20)) == 20


def test_offloads_are_what_the_driver_took() -> None:
    with TapRig(NAME) as rig:
        offered = rig.driver.offered()
        assert offered & bits(CSUM, HOST_TSO4, HOST_TSO6) == bits(CSUM, HOST_TSO4, HOST_TSO6)
        for declined, expected in ((0, True), (bits(7, 8, 9, 10), False)):
            rig.driver.probe(rig.arena, decline=declined)
            rig.settle()
            assert features(NAME)["tx-tcp-segmentation"] == expected
        rig.driver.reset()


def features(name: str) -> dict[str, bool]:
    """`ethtool -k` in short: the legacy flags' word for TSO."""
    value = array.array("I", [0x1E, 0])  # ETHTOOL_GTSO
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        request = struct.pack("16sP", name.encode(), value.buffer_info()[0])
        fcntl.ioctl(asking, 0x8946, request)
    return {"tx-tcp-segmentation": bool(value[1])}


def remove() -> None:
    from pyroute2 import IPRoute

    with IPRoute() as ip:
        ip.link("del", index=ip.link_lookup(ifname=NAME)[0])


@pytest.mark.parametrize("when", ["before the start", "afterwards"])
def test_tap_that_is_taken_away_is_a_link_that_is_down(when: str) -> None:
    with TapRig(NAME) as rig:
        if when == "before the start":
            remove()
        rx, tx, _control = rig.driver.probe(rig.arena)
        rig.settle()
        rig.fill(rx, 64)  # a card without buffers would not look
        if when == "afterwards":
            remove()
        wait_for(lambda: rig.counter("lost"), "the end of the tap")
        assert rig.driver.read(DEVICE, 6, 2) == 0
        rig.send(tx, NO_HEADER + frame(1))
        assert rig.counter("tx_dropped") == 1
