"""RAM that a Xen domain gives back and takes again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vmm.memory import GuestMemory
from vmm.xen.abi import PAGE
from vmm.xen.reservation import Reservation

PAGES = 16 << 8  # of 16 MiB


@pytest.fixture
def memory() -> Iterator[GuestMemory]:
    memory = GuestMemory(PAGES * PAGE, "4k")
    yield memory
    memory.close()


def test_pages_that_were_given_back_read_as_zeroes(memory: GuestMemory) -> None:
    reservation = Reservation(memory)
    memory.write(7 * PAGE, b"x" * 3 * PAGE)

    assert reservation.give(8, 1)

    assert memory.read(7 * PAGE, 3 * PAGE) == b"x" * PAGE + bytes(PAGE) + b"x" * PAGE
    assert reservation.given_back == 1
    assert [reservation.is_ram(frame) for frame in (7, 8, 9)] == [True, False, True]


def test_only_ram_can_be_given_and_only_holes_taken(memory: GuestMemory) -> None:
    reservation = Reservation(memory)

    assert not reservation.take(8, 1)
    assert reservation.give(8, 4)
    assert not reservation.give(10, 4)
    assert not reservation.take(11, 2)
    assert not reservation.give(reservation.top, 2)
    assert not reservation.give(1 << 52, 1)
    assert reservation.given_back == 4
    assert reservation.take(8, 4)
    assert reservation.given_back == 0


def test_a_reset_fills_all_holes(memory: GuestMemory) -> None:
    reservation = Reservation(memory)
    reservation.give(reservation.top, 1)

    reservation.reset()

    assert reservation.is_ram(reservation.top)
    assert reservation.given_back == 0
    assert reservation.total == PAGES


def test_nothing_is_given_back_while_somebody_follows_the_regions(memory: GuestMemory) -> None:
    class Follower:
        def ram_added(self, region: object) -> None:
            pass

    reservation, follower = Reservation(memory), Follower()
    memory.write(8 * PAGE, b"x")
    memory.follow(follower)

    assert not reservation.give(8, 1)

    assert memory.read(8 * PAGE, 1) == b"x"
    memory.unfollow(follower)
    assert reservation.give(8, 1)
