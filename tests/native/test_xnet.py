"""Xen's network device from the guest's side of its rings: frames and what is said of them."""

from __future__ import annotations

import random
from struct import pack

import pytest

from tests.native.grantrig import PAGE
from tests.native.xenringrig import until
from tests.native.xnetrig import (
    BLANK,
    CSUM4,
    CSUM6,
    DATA_VALID,
    ERROR,
    EVERYTHING,
    NEEDS_CSUM,
    NO_HEADER,
    NULL,
    OKAY,
    SG,
    SIZE,
    TCPV4,
    TCPV6,
    TX_DATA,
    VALIDATED,
    Got,
    Rig,
    header,
)
from vmm.native import lib

TCP, UDP = 6, 17
VIRTIO_TCPV4, VIRTIO_UDP, VIRTIO_TCPV6 = 1, 3, 4
MACS = bytes.fromhex("525400000001525400000002")


def ether(kind: int, rest: bytes, tags: int = 0) -> bytes:
    tag = b"".join(pack(">HH", 0x8100, 5) for _ in range(tags))
    return MACS + tag + pack(">H", kind) + rest


def segment(protocol: int, payload: bytes) -> bytes:
    if protocol == TCP:
        return pack(">HHIIBBHHH", 1, 2, 3, 4, 5 << 4, 0x10, 5, 0x1234, 0) + payload
    return pack(">HHHH", 1, 2, 8 + len(payload), 0x1234) + payload


def ipv4(protocol: int, payload: bytes, *, options: int = 0, fragment: int = 0) -> bytes:
    head = pack(">BBHHHBBH8x", 0x40 | 5 + options, 0, 0, 0, fragment, 64, protocol, 0)
    return head + bytes(4 * options) + segment(protocol, payload)


def ipv6(protocol: int, payload: bytes, *, extensions: int = 0) -> bytes:
    chain = [0, 43, 60][:extensions]
    kinds = [*chain, protocol]
    body = b"".join(pack(">BB14x", following, 1) for following in kinds[1:])
    return pack(">IHBB32x", 6 << 28, 0, kinds[0], 64) + body + segment(protocol, payload)


def test_frames_of_any_shape_go_out() -> None:
    dice = random.Random(1)
    with Rig() as rig:
        queue = rig.queue
        for _ in range(150):
            length = dice.choice((14, 60, 1514, dice.randrange(14, 60000)))
            data = dice.randbytes(length)
            count = max(-(-length // PAGE), dice.randrange(1, 18))
            step = -(-length // count)
            queue.frame(data, range(step, length, step))
            entries = queue.tx_prod - queue.tx_seen
            queue.submit()
            assert rig.peer.recv(70000) == NO_HEADER + data
            assert queue.answers(entries) == [(n, OKAY) for n in range(entries)]
        assert rig.counters()["tx_packets"] == 150
        assert queue.tx_wires.called()
        until(lambda: rig.mapped() == 2)  # the rings


@pytest.mark.parametrize(
    ("frame", "gso", "expected"),
    [
        (ether(0x800, ipv4(TCP, bytes(99))), None, header(1, start=34, offset=16)),
        (ether(0x800, ipv4(UDP, b"")), None, header(1, start=34, offset=6)),
        (ether(0x800, ipv4(UDP, b"", options=10)), None, header(1, start=74, offset=6)),
        (ether(0x86DD, ipv6(TCP, bytes(7))), None, header(1, start=54, offset=16)),
        (ether(0x86DD, ipv6(UDP, b"", extensions=3)), None, header(1, start=102, offset=6)),
        (ether(0x800, ipv4(TCP, b"x"), tags=2), None, header(1, start=42, offset=16)),
        (
            ether(0x800, ipv4(TCP, bytes(20000))),
            (TCPV4, 1448),
            header(1, VIRTIO_TCPV4, 54, 1448, 34, 16),
        ),
        (
            ether(0x86DD, ipv6(TCP, bytes(60000), extensions=1)),
            (TCPV6, 9000),
            header(1, VIRTIO_TCPV6, 90, 9000, 70, 16),
        ),
    ],
)
def test_checksums_and_cuts_are_left_to_the_host(
    frame: bytes, gso: tuple[int, int] | None, expected: bytes
) -> None:
    with Rig() as rig:
        rig.queue.frame(frame, range(PAGE, len(frame), PAGE), BLANK | VALIDATED, gso)
        rig.queue.submit()
        assert rig.peer.recv(70000) == expected + frame
        pieces = -(-len(frame) // PAGE)
        statuses = [status for _id, status in rig.queue.answers(pieces + bool(gso))]
        assert statuses == [OKAY, *[NULL] * bool(gso), *[OKAY] * (pieces - 1)]


@pytest.mark.parametrize(
    ("frame", "flags", "gso"),
    [
        (b"\0" * 13, 0, None),
        (b"\0" * 14, BLANK, None),
        (ether(0x806, bytes(46)), BLANK, None),
        (ether(0x800, b""), BLANK, None),
        (ether(0x800, ipv4(1, b"")), BLANK, None),
        (ether(0x800, ipv4(TCP, b"", fragment=0x2000)), BLANK, None),
        (ether(0x800, ipv4(TCP, b"", fragment=1)), BLANK, None),
        (ether(0x800, b"\x44" + ipv4(TCP, b"")[1:]), BLANK, None),
        (ether(0x800, b"\x4f" + ipv4(TCP, b"")[1:]), BLANK, None),
        (ether(0x800, ipv4(TCP, b"")[:-1]), BLANK, None),
        (ether(0x86DD, ipv6(TCP, b"", extensions=2)[:60]), BLANK, None),
        (ether(0x86DD, b"\x40" + ipv6(TCP, b"")[1:]), BLANK, None),
        (ether(0x800, ipv4(TCP, b""), tags=3), BLANK, None),
        (ether(0x800, ipv4(UDP, b"")), BLANK, (TCPV4, 9)),
        (ether(0x800, ipv4(TCP, b"")), BLANK, (TCPV6, 9)),
        (ether(0x86DD, ipv6(TCP, b"")), BLANK, (TCPV4, 9)),
        (ether(0x800, ipv4(TCP, b"")), 0, (TCPV4, 9)),
    ],
)
def test_what_cannot_be_sent_is_dropped_and_harms_nothing(
    frame: bytes, flags: int, gso: tuple[int, int] | None
) -> None:
    with Rig() as rig:
        rig.queue.frame(frame, (), flags, gso)
        rig.queue.frame(bytes(60), first=TX_DATA + 1)
        rig.queue.submit()
        assert rig.queue.answers(2 + bool(gso))[0] == (0, ERROR)
        assert rig.peer.recv(100) == NO_HEADER + bytes(60)
        assert rig.counters()["tx_dropped"] == 1
        assert rig.events == []


def test_frames_of_any_length_come_in() -> None:
    dice = random.Random(2)
    with Rig() as rig:
        rig.queue.post(SIZE - 1)
        for number in range(200):
            length = dice.choice((14, 60, 1514, PAGE, PAGE + 1, 65550, dice.randrange(14, 65000)))
            data = dice.randbytes(length)
            kind = dice.choice((0, 0, VIRTIO_TCPV4)) if length > 100 else 0
            said = header(0, kind, 0, 1448 if kind else 0)
            rig.peer.send(said + data)
            assert rig.queue.receive() == Got(data, 0, (TCPV4, 1448) if kind else None), number
            rig.queue.post(SIZE - 1 - len(rig.queue.posted))
        assert rig.counters()["rx_packets"] == 200
        assert rig.queue.rx_wires.called()


def test_guest_without_pages_gets_the_frame_later() -> None:
    with Rig() as rig:
        rig.peer.send(NO_HEADER + b"a" * 60)
        rig.peer.send(header(0, VIRTIO_TCPV4, 0, 7) + b"b" * (2 * PAGE + 1))
        rig.peer.send(NO_HEADER + b"c" * 60)
        until(lambda: rig.counters()["rx_waits"])
        rig.queue.post(1)
        assert rig.queue.receive().data == b"a" * 60
        rig.queue.post(3)
        rig.settle()
        assert rig.queue.word(rig.queue.rx_page, 8) == 1
        assert rig.queue.word(rig.queue.rx_page, 4) == 1 + 4  # told at the fourth, not before
        rig.queue.post(1)
        assert rig.queue.receive() == Got(b"b" * (2 * PAGE + 1), 0, (TCPV4, 7))
        rig.queue.post(1)
        assert rig.queue.receive().data == b"c" * 60


def checksum(data: bytes) -> int:
    total = sum(data[i] << 8 | (data + b"\0")[i + 1] for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF or 0xFFFF


def filled(frame: bytes, start: int, offset: int) -> bytes:
    at = start + offset
    return frame[:at] + pack(">H", checksum(frame[start:])) + frame[at + 2 :]


PLAIN, SIX = ether(0x800, ipv4(TCP, b"odd")), ether(0x86DD, ipv6(UDP, bytes(5000)))
TAGGED = ether(0x800, ipv4(UDP, b"12"), tags=1)


@pytest.mark.parametrize(
    ("takes", "frame", "start", "offset", "blank"),
    [
        (EVERYTHING, PLAIN, 34, 16, True),
        (EVERYTHING, SIX, 54, 6, True),
        (EVERYTHING, TAGGED, 38, 6, False),
        (EVERYTHING, PLAIN, 36, 14, False),
        (EVERYTHING, ether(0x88B5, bytes(range(100))), 20, 8, False),
        (EVERYTHING, ether(0x88B5, bytes(6) + b"\xff\xff" + bytes(52)), 20, 8, False),  # sum: 0
        (SG | CSUM6, PLAIN, 34, 16, False),
        (SG | CSUM4, SIX, 54, 6, False),
    ],
)
def test_checksums_the_guest_does_not_make_are_made_here(
    takes: int, frame: bytes, start: int, offset: int, blank: bool
) -> None:
    with Rig(takes=takes) as rig:
        rig.queue.post(20)
        rig.peer.send(header(NEEDS_CSUM, 0, 0, 0, start, offset) + frame)
        if blank:
            assert rig.queue.receive() == Got(frame, BLANK | VALIDATED, None)
        else:
            assert rig.queue.receive() == Got(filled(frame, start, offset), VALIDATED, None)
        assert rig.counters()["rx_summed"] == (not blank)
        rig.peer.send(header(DATA_VALID) + frame)
        assert rig.queue.receive() == Got(frame, VALIDATED, None)


@pytest.mark.parametrize(
    ("takes", "said", "length"),
    [
        (0, NO_HEADER, PAGE + 1),
        (SG, header(0, VIRTIO_TCPV4, 0, 9), 100),
        (EVERYTHING, header(0, VIRTIO_UDP, 0, 9), 100),
        (EVERYTHING, header(NEEDS_CSUM, VIRTIO_TCPV4, 0, 9, 20, 6), 100),
        (EVERYTHING, header(NEEDS_CSUM, 0, 0, 0, 99, 0), 100),
        (EVERYTHING, header(NEEDS_CSUM, 0, 0, 0, 65535, 65535), 100),
        (EVERYTHING, b"", 12),
        (EVERYTHING, b"", 3),
    ],
)
def test_frames_the_guest_cannot_have_are_dropped(takes: int, said: bytes, length: int) -> None:
    with Rig(takes=takes) as rig:
        rig.queue.post(20)
        rig.peer.send(said + bytes(length))
        rig.peer.send(NO_HEADER + b"next" * 20)
        assert rig.queue.receive().data == b"next" * 20
        assert rig.counters()["rx_dropped"] == 1


def test_wire_that_is_full_keeps_the_guests_frames() -> None:
    with Rig(split=False) as rig:
        for number in range(SIZE):
            rig.queue.frame(pack("<I", number) + bytes(1500), first=TX_DATA + number)
        rig.queue.submit()
        until(lambda: rig.counters()["tx_waits"])
        for number in range(SIZE):
            assert rig.peer.recv(2000) == NO_HEADER + pack("<I", number) + bytes(1500)
        assert rig.queue.answers(SIZE) == [(0, OKAY)] * SIZE


def test_each_queue_has_its_own_wire() -> None:
    with Rig(queues=3) as rig:
        for queue, peer in zip(rig.queues, rig.peers, strict=True):
            data = bytes([queue.number]) * 60
            queue.frame(data, first=TX_DATA + queue.number)
            queue.submit()
            assert peer.recv(100) == NO_HEADER + data
            queue.post(4)
            peer.send(NO_HEADER + data)
            assert queue.receive().data == data


def test_pause_touches_nothing_and_loses_nothing() -> None:
    with Rig() as rig:
        rig.loop.ask(lambda: lib.xnet_pause(rig.pointer, True))
        rig.queue.post(4)
        rig.queue.frame(b"out" * 30)
        rig.queue.submit()
        rig.peer.send(NO_HEADER + b"in" * 30)
        rig.settle()
        assert rig.queue.word(rig.queue.tx_page, 8) == rig.queue.word(rig.queue.rx_page, 8) == 0
        rig.loop.ask(lambda: lib.xnet_pause(rig.pointer, False))
        assert rig.queue.receive().data == b"in" * 30
        assert rig.peer.recv(200) == NO_HEADER + b"out" * 30
