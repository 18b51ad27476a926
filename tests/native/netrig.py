"""A network card and its driver; the other end of the wire is a socket of the test."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Sequence
from typing import Any

from tests.native.virtiorig import VirtioRig
from tests.virtiodriver import DriverRing, Used
from tests.virtiopci import wait_for
from vmm.backends.tap import Tap, TapConfig, open_tap
from vmm.backends.vhost import VhostNet
from vmm.native import Fd
from vmm.virtio.net import Net

# Features (5.1.3).
CSUM, GUEST_CSUM, GUEST_OFFLOADS, MTU, MAC = 0, 1, 2, 3, 5
GUEST_TSO4, GUEST_TSO6, GUEST_ECN, GUEST_UFO = 7, 8, 9, 10
HOST_TSO4, HOST_TSO6, HOST_ECN, HOST_UFO = 11, 12, 13, 14
MRG_RXBUF, STATUS, CTRL_VQ, CTRL_RX, MQ, CTRL_MAC_ADDR = 15, 16, 17, 18, 22, 23
NEEDS_CSUM = 1
GSO_NONE, GSO_TCPV4, GSO_UDP, GSO_TCPV6, GSO_ECN = 0, 1, 3, 4, 0x80
HEADER = 12
NO_HEADER = bytes(HEADER)
RX, TX, CONTROL = 0, 1, 2  # the queues of a card with one pair
OWN_MAC = bytes.fromhex("525400123456")
DEVICE = 4  # type of the structure with the device's configuration


def header(
    flags: int = 0, gso: int = 0, hdr_len: int = 0, size: int = 0, start: int = 0, offset: int = 0,
    buffers: int = 0,
) -> bytes:  # fmt: skip
    """struct virtio_net_hdr_v1."""
    return struct.pack("<BBHHHHH", flags, gso, hdr_len, size, start, offset, buffers)


def frame(number: int = 0, length: int = 60) -> bytes:
    """An Ethernet frame that can be told from others."""
    start = b"\xff" * 6 + OWN_MAC + b"\x88\xb5" + struct.pack("<I", number)
    return start + bytes((number + i) & 0xFF for i in range(length - len(start)))


def bits(*features: int) -> int:
    return sum(1 << feature for feature in features)


class CardRig(VirtioRig):
    """What a driver of a card does, whatever is at the other end."""

    def counter(self, name: str) -> int:
        return int(self.device.counters()[name])

    def send(self, ring: DriverRing, *packets: bytes, queue: int = 1) -> list[Used]:
        for packet in packets:
            ring.add([packet])
        return self.exchange(queue, ring, len(packets))

    def fill(self, ring: DriverRing, count: int = 64, size: int = 1536, queue: int = 0) -> None:
        """Gives the device buffers for packets."""
        for _ in range(count):
            ring.add([], [size])
        if ring.publish():
            self.driver.notify(queue)

    def take(self, ring: DriverRing, count: int = 1) -> list[Used]:
        done: list[Used] = []
        wait_for(lambda: done.extend(ring.collect()) or len(done) >= count, "received packets")
        return done

    def command(self, ring: DriverRing, data: bytes, queue: int) -> int:
        """The acknowledgement of a control command."""
        ring.add([data[:2], data[2:]] if len(data) > 2 else [data], [1])
        [used] = self.exchange(queue, ring)
        return used.data[0]


class NetRig(CardRig):
    """`peers` are the other ends, one for each pair of queues."""

    def __init__(
        self,
        pairs: int = 1,
        kind: int = socket.SOCK_DGRAM,
        wire: Sequence[socket.socket] = (),
        **settings: Any,
    ) -> None:
        """wire: the device's ends, given away; then there are no `peers`."""
        self.peers: list[socket.socket] = []
        ends = list(wire)
        for _pair in range(0 if ends else pairs):
            ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
            theirs.settimeout(20)
            ours.setblocking(False)
            self.peers.append(theirs)
            ends.append(ours)
        tap = Tap("a socket", [Fd(end.detach()) for end in ends], is_tap=False)
        super().__init__(lambda context: Net("net0", context, tap, mac=OWN_MAC, **settings))

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        for peer in self.peers:
            peer.close()

    @property
    def peer(self) -> socket.socket:
        return self.peers[0]

    def flood(self) -> None:
        """Puts as many packets on the wire as it takes."""
        self.peer.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.peer.send(NO_HEADER + frame())
        self.peer.settimeout(20)


class TapRig(CardRig):
    """On a tap called `name`; `wire` sees what goes over it, without headers."""

    def __init__(
        self, name: str, *, vhost: VhostNet | None = None, msix: bool = True, **settings: Any
    ) -> None:
        tap = open_tap(TapConfig(name=name, **settings))
        super().__init__(
            lambda context: Net("net0", context, tap, mac=OWN_MAC, vhost=vhost), msix=msix
        )
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
        self.wire.bind((name, 0x88B5))
        self.wire.settimeout(20)

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        self.wire.close()

    def collect(self, ring: DriverRing) -> list[bytes]:
        """Received packets of ours: hosts talk by themselves."""
        packets = [used.data for used in ring.collect()]
        return [data for data in packets if data[HEADER + 12 : HEADER + 14] == b"\x88\xb5"]
