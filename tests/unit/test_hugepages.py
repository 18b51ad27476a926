"""Huge pages ahead of what a guest fills: which blocks, how far ahead, and that it ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from vmm.hugepages import AHEAD_MAX, HUGE_PAGE, Follower, Watch, lacking

BLOCKS = 64


class Ram:
    """A memfd that remembers what was asked for, as (block, blocks), and fills it as KVM would."""

    def __init__(self, size: int) -> None:
        self.fd, self.size = os.memfd_create("ram"), size
        os.ftruncate(self.fd, size)
        self.collapsed: list[tuple[int, int]] = []
        self.asked = threading.Event()

    def touch(self, *blocks: int) -> None:
        for block in blocks:
            os.pwrite(self.fd, b"x", block * HUGE_PAGE + 5 * 4096)

    def fill(self, block: int, count: int = 1) -> None:
        os.pwrite(self.fd, bytes(count * HUGE_PAGE), block * HUGE_PAGE)

    def collapse(self, start: int, length: int) -> int:
        assert start % HUGE_PAGE == 0
        assert start + length <= self.size
        self.collapsed.append((start // HUGE_PAGE, -(-length // HUGE_PAGE)))
        self.asked.set()
        os.pwrite(self.fd, bytes(length), start)
        return length


@pytest.fixture
def ram() -> Iterator[Ram]:
    ram = Ram(BLOCKS * HUGE_PAGE)
    yield ram
    os.close(ram.fd)


def test_blocks_that_lack_pages_are_found(ram: Ram) -> None:
    assert lacking(ram.fd, ram.size) == [(0, BLOCKS)]

    ram.fill(3, 2)
    ram.touch(10)
    ram.fill(BLOCKS - 1)

    assert lacking(ram.fd, ram.size) == [(0, 3), (5, BLOCKS - 1)]
    ram.fill(0, BLOCKS)

    assert lacking(ram.fd, ram.size) == []


def test_a_region_that_ends_within_a_block_is_covered() -> None:
    ram = Ram(HUGE_PAGE + 8192)
    follower = Follower(ram, 0)
    os.pwrite(ram.fd, b"x", HUGE_PAGE + 4096)

    assert follower.look()

    assert ram.collapsed == [(1, 1)]
    os.close(ram.fd)


def test_what_was_filled_whole_before_is_left_alone(ram: Ram) -> None:
    ram.fill(4, 4)
    follower = Follower(ram, 0)

    assert not follower.look()
    assert ram.collapsed == []


def test_each_block_is_asked_for_once(ram: Ram) -> None:
    follower = Follower(ram, 0)
    ram.touch(2, 9)

    assert follower.look()
    assert not follower.look()

    assert ram.collapsed == [(2, 1), (9, 1)]


def test_a_guest_that_fills_upwards_finds_huge_pages_ahead(ram: Ram) -> None:
    follower = Follower(ram, 0)
    at = 0
    for _look in range(6):
        ram.touch(at)
        assert follower.look()
        at = sum(ram.collapsed[-1])

    assert [count for _block, count in ram.collapsed] == [1, 2, 4, AHEAD_MAX, AHEAD_MAX, AHEAD_MAX]


def test_huge_pages_ahead_end_where_memory_is_filled(ram: Ram) -> None:
    ram.fill(2)
    follower = Follower(ram, 0)
    ram.touch(0)
    assert follower.look()
    ram.touch(1)
    assert follower.look()

    assert ram.collapsed == [(0, 1), (1, 1)]


def test_what_is_filled_first_is_known_by_its_length(ram: Ram) -> None:
    follower = Follower(ram, 20 * HUGE_PAGE - 1)
    ram.touch(30)
    assert follower.look()
    ram.touch(3)
    assert follower.look()

    assert ram.collapsed == [(30, 20), (3, 1)]


def test_a_host_that_refuses_is_not_asked_again(ram: Ram, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(ram, "collapse", lambda start, _length: asked.append(start) or -12)
    follower = Follower(ram, 0)
    ram.touch(7)

    assert follower.look()
    assert not follower.look()
    assert asked == [7 * HUGE_PAGE]


def test_a_watch_follows_until_it_is_closed(ram: Ram) -> None:
    watch = Watch([ram], 0)
    watch.start()
    ram.touch(5)
    assert ram.asked.wait(20)
    watch.close()
    ram.touch(40)

    assert ram.collapsed == [(5, 1)]


def test_a_watch_that_never_began_can_be_closed(ram: Ram) -> None:
    Watch([ram], 0).close()
