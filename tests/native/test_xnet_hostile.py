"""Xen's network device and a guest that breaks its protocol: the service ends, nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from struct import pack

import pytest

from tests.native.grantrig import PAGE, PERMIT, READONLY
from tests.native.xenringrig import until
from tests.native.xnetrig import (
    ERROR,
    EVERYTHING,
    EXTRA,
    GSO,
    MORE,
    NO_HEADER,
    NULL,
    OKAY,
    RX_DATA,
    RX_RING,
    SIZE,
    TX_DATA,
    TX_RING,
    Queue,
    Rig,
)
from vmm.native import lib

INDEX, SLOTS, LENGTH, EXTRAS, CUT = (
    lib.XNET_BAD_INDEX, lib.XNET_BAD_SLOTS, lib.XNET_BAD_SIZE, lib.XNET_BAD_EXTRA, lib.XNET_BAD_GSO,
)  # fmt: skip
MORE_EXTRAS = 1


def too_many_pieces(queue: Queue) -> None:
    for number in range(21):
        queue.request(TX_DATA + number, 2100 if not number else 100, MORE if number < 20 else 0)


def no_end(queue: Queue) -> None:
    queue.request(TX_DATA, 100, MORE)


def pieces_longer_than_the_frame(queue: Queue) -> None:
    queue.request(TX_DATA, 100, MORE)
    queue.request(TX_DATA, 101)


def first_piece_over_a_page(queue: Queue) -> None:
    queue.request(TX_DATA, PAGE + 1)


def piece_over_the_end_of_a_page(queue: Queue) -> None:
    queue.request(TX_DATA, 1000, MORE)
    queue.request(TX_DATA, 500, 0, PAGE - 499)


def offset_beyond_all_pages(queue: Queue) -> None:
    queue.request(TX_DATA, 65535, 0, 65535)


def extra_without_an_entry(queue: Queue) -> None:
    queue.request(TX_DATA, 100, EXTRA)


def extra_of_no_kind(queue: Queue) -> None:
    queue.request(TX_DATA, 100, EXTRA)
    queue.extra(0)


def extra_of_an_unknown_kind(queue: Queue) -> None:
    queue.request(TX_DATA, 100, EXTRA)
    queue.extra(6)


def extras_without_end(queue: Queue) -> None:
    queue.request(TX_DATA, 100, EXTRA)
    for _ in range(9):
        queue.extra(4, MORE_EXTRAS)


def last_extra_is_missing(queue: Queue) -> None:
    queue.request(TX_DATA, 100, EXTRA)
    queue.extra(GSO, MORE_EXTRAS, pack("<HBBH", 1448, 1, 0, 0))


def cut_into_nothing(queue: Queue) -> None:
    queue.request(TX_DATA, 100, EXTRA)
    queue.extra(GSO, 0, pack("<HBBH", 0, 1, 0, 0))


def cut_in_no_way(queue: Queue) -> None:
    queue.request(TX_DATA, 100, EXTRA)
    queue.extra(GSO, 0, pack("<HBBH", 1448, 0, 0, 0))


def cut_in_an_unknown_way(queue: Queue) -> None:
    queue.request(TX_DATA, 100, EXTRA)
    queue.extra(GSO, 0, pack("<HBBH", 1448, 3, 0, 0))


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (too_many_pieces, SLOTS),
        (no_end, SLOTS),
        (pieces_longer_than_the_frame, LENGTH),
        (first_piece_over_a_page, LENGTH),
        (piece_over_the_end_of_a_page, LENGTH),
        (offset_beyond_all_pages, LENGTH),
        (extra_without_an_entry, EXTRAS),
        (extra_of_no_kind, EXTRAS),
        (extra_of_an_unknown_kind, EXTRAS),
        (extras_without_end, EXTRAS),
        (last_extra_is_missing, EXTRAS),
        (cut_into_nothing, CUT),
        (cut_in_no_way, CUT),
        (cut_in_an_unknown_way, CUT),
    ],
)
def test_broken_frame_ends_the_service(what: Callable[[Queue], None], reason: int) -> None:
    with Rig() as rig:
        rig.queue.frame(b"good" * 20)
        what(rig.queue)
        rig.queue.submit()
        until(lambda: rig.events == [reason])

        assert rig.peer.recv(100) == NO_HEADER + b"good" * 20
        assert rig.queue.answers(1) == [(0, OKAY)]
        assert rig.counters()["broken"] == 1
        rig.queue.post(4)
        rig.peer.send(NO_HEADER + bytes(60))
        rig.queue.submit()
        rig.settle()
        assert rig.queue.word(rig.queue.tx_page, 8) == 1
        assert rig.queue.word(rig.queue.rx_page, 8) == 0
        assert rig.mapped() == 2
        rig.disconnect()
        rig.connect()
        rig.queue.post(4)
        assert rig.queue.receive().data == bytes(60)


@pytest.mark.parametrize("ring", ["tx", "rx"])
@pytest.mark.parametrize("jump", [SIZE + 1, 1 << 31, (1 << 32) - 1])
def test_index_that_jumps_ends_the_service(ring: str, jump: int) -> None:
    with Rig() as rig:
        rig.queue.post(2)
        for _ in range(2):
            rig.queue.frame(bytes(60))
            rig.queue.submit()
            rig.queue.answers(1)
            rig.peer.send(NO_HEADER + bytes(60))
            rig.queue.receive()
        page = rig.queue.tx_page if ring == "tx" else rig.queue.rx_page
        rig.queue.publish(page, 2 + jump)
        until(lambda: rig.events == [INDEX])
        assert rig.counters()["broken"] == 1


@pytest.mark.parametrize("ref", [1, RX_DATA + 1, RX_DATA + 2, RX_DATA + 3, (1 << 32) - 1])
def test_wild_grants_cost_the_frame_alone(ref: int) -> None:
    with Rig() as rig:
        rig.grant(RX_DATA + 1, PERMIT, domid=7)
        rig.grant(RX_DATA + 2, PERMIT, page=(1 << 32) - 1)
        rig.grant(RX_DATA + 3, PERMIT | READONLY)
        bad = ref != RX_DATA + 3  # that one may be sent
        rig.queue.request(TX_DATA, 200, MORE, 0, 1)
        rig.queue.request(ref, 100, MORE, 0, 2)
        rig.queue.request(TX_DATA, 10, 0, 0, 3)
        rig.queue.frame(b"good" * 20, first=TX_DATA + 9)
        rig.queue.submit()
        status = ERROR if bad else OKAY
        assert rig.queue.answers(4) == [(1, status), (2, status), (3, status), (0, OKAY)]
        rig.peer.send(NO_HEADER + bytes(6000))
        rig.queue.post(3, [RX_DATA + 10, ref, RX_DATA + 11])
        rig.queue.post(3, [RX_DATA + 12, RX_DATA + 13, RX_DATA + 14])
        slots = [rig.queue.slot() for _ in range(4)]
        assert [slot[3] for slot in slots] == [ERROR, ERROR, PAGE, 6000 - PAGE]
        assert rig.counters()["refused"] == bad + 1
        assert set(rig.events) == {lib.XNET_REFUSED}
        assert rig.mapped() == 2


def test_guest_that_gives_wild_pages_without_end_is_left() -> None:
    with Rig() as rig:
        rig.queue.post(SIZE - 1, [7] * (SIZE - 1))
        rig.settle()
        rig.queue.posted.clear()
        rig.queue.post(1)
        rig.queue.rx_seen = SIZE - 1
        rig.peer.send(NO_HEADER + b"mine" * 20)
        assert rig.queue.receive().data == b"mine" * 20
        assert rig.counters()["refused"] == SIZE - 1


def test_further_extras_cost_the_frame_alone() -> None:
    with Rig() as rig:
        rig.queue.request(TX_DATA, 100, EXTRA, 0, 5)
        rig.queue.extra(2, MORE_EXTRAS)
        rig.queue.extra(3)
        rig.queue.submit()
        assert rig.queue.answers(3) == [(5, ERROR), (0, NULL), (0, NULL)]


def test_rings_that_cannot_be() -> None:
    with Rig() as rig:
        assert rig.try_connect(0, EVERYTHING) == -16
        assert rig.try_connect(1, EVERYTHING) == -22
        rig.disconnect()
        for other in ({"tx_ref": 1}, {"rx_ref": 1}, {"rx_ref": (1 << 32) - 1}):
            assert rig.try_connect(0, EVERYTHING, **other) == -22
        assert rig.try_connect(0, EVERYTHING, rx_kick=999) == -9
        rig.grant(TX_RING, PERMIT, domid=5)
        assert rig.try_connect(0, EVERYTHING) == -1
        rig.grant(TX_RING)
        rig.grant(RX_RING, PERMIT | READONLY)
        assert rig.try_connect(0, EVERYTHING) == -13
        assert rig.mapped() == 0
        rig.grant(RX_RING)
        rig.connect()


@pytest.mark.parametrize("seed", range(3))
def test_guest_that_scribbles_over_rings_and_grants_harms_nobody(seed: int) -> None:
    dice = random.Random(seed)
    with Rig(queues=2) as rig:
        rig.peer.setblocking(False)
        for _ in range(400):
            queue = dice.choice(rig.queues)
            page = dice.choice((queue.tx_page, queue.rx_page))
            if dice.random() < 0.4:
                queue.frame(dice.randbytes(60), flags=dice.randrange(16))
                queue.submit()
            else:
                queue.publish(page, queue.word(page, 0) + dice.randrange(40))
            at = dice.randrange(64, PAGE - 40)
            rig.memory.write(page * PAGE + at, dice.randbytes(dice.randrange(1, 40)))
            target = dice.choice((TX_DATA, RX_DATA)) + dice.randrange(40)
            rig.memory.write(0x100000 + target * 8, dice.randbytes(8))
            for peer in rig.peers:
                peer.setblocking(False)
                try:
                    peer.send(dice.randbytes(dice.choice((3, 12, 13, 80, 9000))))
                    peer.recv(70000)
                except BlockingIOError:
                    pass
            if dice.random() < 0.2:
                rig.disconnect()
                rig.grant_all()
                rig.connect()
        rig.settle()
