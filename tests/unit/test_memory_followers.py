"""Guest memory that somebody else has mapped: who is told, and what may not happen meanwhile."""

from __future__ import annotations

import pytest

from vmm.layout import MIB
from vmm.memory import GuestMemory
from vmm.region import Region


class Device:
    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def ram_added(self, region: Region) -> None:
        self.seen.append((region.gpa, region.size))


def test_a_follower_hears_of_all_regions_until_it_leaves() -> None:
    memory = GuestMemory(4 * MIB)
    device = Device()
    try:
        memory.follow(device)
        assert device.seen == [(0, 4 * MIB)]
        memory.add_ram(1 << 32, 2 * MIB)
        assert device.seen[1:] == [(1 << 32, 2 * MIB)]
        memory.unfollow(device)
        memory.add_ram(2 << 32, 2 * MIB)
        assert len(device.seen) == 2
    finally:
        memory.close()


def test_pages_stay_where_they_are_while_somebody_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = GuestMemory(4 * MIB)
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(memory.regions[0], "collapse", lambda *place: asked.append(place))
    memory._collapses = True  # as on a host whose policy gives shmem no huge pages
    device = Device()
    try:
        memory.watch()
        assert memory._watch is not None
        memory.follow(device)
        assert memory._watch is None
        memory.watch()
        assert memory._watch is None
        memory.huge(0, 4 * MIB)
        assert asked == [(0, 4 * MIB)]  # once, before there was a follower
        memory.unfollow(device)
        assert memory._watch is not None  # it goes on
        memory.huge(0, 2 * MIB)
        assert asked[1:] == [(0, 2 * MIB)]
    finally:
        memory.close()
    assert memory._watch is None


def test_slots_are_numbered_once_and_again_when_given_back() -> None:
    memory = GuestMemory(4 * MIB)
    try:
        taken = [memory.take_slot() for _ in range(3)]
        assert len({*taken, memory.regions[0].slot}) == 4
        memory.give_slot(taken[1])
        assert memory.take_slot() == taken[1]
        assert memory.add_ram(1 << 32, 2 * MIB).slot not in taken
    finally:
        memory.close()
