"""vq.c against its twin on random drivers, most of whose rings break sooner or later."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.native.twins.gmem import READONLY
from tests.native.twins.vq import INDIRECT, NEXT, WRITABLE, VqTwin
from tests.native.vqrig import PlainMemory, Popped, Queue
from tests.virtiodriver import Arena, DriverRing

LOW, BESIDE, ROM, HIGH, HUGE = 0, 0x8000, 0x2_0000, 1 << 32, 1 << 40
REGIONS = {LOW: 0x8000, BESIDE: 0x4000, HIGH: 0x4000, HUGE: 8 << 30}
EDGES = (LOW, BESIDE - 8, BESIDE, 0xBFF8, 0xC000, ROM, HIGH, HUGE, (1 << 64) - 64, 0xFFFF_F000)
LENGTHS = (0, 1, 8, 16, 64, 0x1000, 0xFFFF_FFFF)


class SecondHand:
    """The memory that the twin sees: whatever it would write, the core has written already."""

    def __init__(self, memory: PlainMemory) -> None:
        self.memory = memory

    def read(self, gpa: int, length: int) -> bytes:
        return self.memory.read(gpa, length)

    def write(self, gpa: int, data: bytes) -> None:
        assert self.memory.read(gpa, len(data)) == data


class Pair:
    """The C queue and its twin on the same memory, and a driver without scruples."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.memory = PlainMemory(REGIONS)
        self.memory.add(ROM, 0x4000, READONLY)
        cap = self.rng.choice((4, 16, 64))
        self.queue = Queue(self.memory, cap)
        self.twin = VqTwin(SecondHand(self.memory), self.memory.twin, cap)
        self.chains = 0
        self.restart()

    def restart(self) -> None:
        """A fresh ring in place of the old one; most often a sane one."""
        rng = self.rng
        arena = Arena(self.memory, rng.choice((LOW, HIGH)) + 0x100 * rng.randrange(8))
        self.ring = DriverRing(
            arena, rng.choice((1, 2, 4, 8, 16, 64)), event_idx=rng.random() < 0.5,
            indirect=rng.random() < 0.7,
        )  # fmt: skip
        config = self.ring.config()
        if rng.random() < 0.2:
            name = rng.choice(("desc", "avail", "used"))
            config[name] = rng.choice(EDGES) - 16 * rng.randrange(4) & ~(rng.randrange(4) and 15)
            config[name] %= 1 << 64
        if rng.random() < 0.1:
            config["size"] = rng.choice((0, 3, 24, 512, 1024, 2048, 65535))
        if rng.random() < 0.3:
            at = config["used_idx"] = rng.choice((0, 65530, rng.randrange(65536)))
            config["last_avail"] = (at + rng.choice((0, 0, 1, 70))) % 65536
            self.ring.avail_idx = config["last_avail"]
            self.ring.set_avail_idx(config["last_avail"])
        self.heads: list[int] = []  # popped
        self.offered: set[int] = set()
        self.same(self.queue.start(**config), self.twin.start(**config))

    def same(self, mine: Any, other: Any) -> Any:
        assert mine == other
        assert self.queue.broken == self.twin.broken
        return mine

    # --- the driver

    def place(self) -> tuple[int, int]:
        """Where a buffer may lie: anywhere, most often in memory."""
        rng = self.rng
        if rng.random() < 0.03:
            return (rng.choice(EDGES) + rng.randrange(16)) % (1 << 64), rng.choice(LENGTHS)
        return rng.choice((LOW, BESIDE, HIGH, HUGE)) + rng.randrange(0x3000), rng.randrange(0x800)

    def fill(self, table: int, count: int, indices: list[int]) -> None:
        """A chain over `indices` of a table, with a mistake now and then."""
        rng = self.rng
        turn = rng.randrange(len(indices) + 1)
        for i, index in enumerate(indices):
            gpa, length = self.place()
            flags = WRITABLE if (i >= turn) != (rng.random() < 0.02) else 0
            last = i + 1 == len(indices)
            if not last or rng.random() < 0.02:
                flags |= NEXT
            following = 0 if last else indices[i + 1]
            if rng.random() < 0.02:
                following = rng.randrange(count + 2)
            if (
                last
                and rng.random() < 0.3
                and rng.random() < (0.9 if table == self.ring.desc else 0.1)
            ):
                gpa, length = self.table()
                flags |= INDIRECT
            self.ring.set_desc(index, gpa, length, flags, following, table=table)

    def table(self) -> tuple[int, int]:
        rng = self.rng
        count = rng.randrange(1, 12)
        gpa = rng.choice((LOW, BESIDE, HIGH)) + 0x3000 + rng.randrange(64)
        order = list(range(count))
        if rng.random() < 0.3:
            rng.shuffle(order[1:])
        self.fill(gpa, count, order)
        length = 16 * count
        if rng.random() < 0.05:
            gpa, length = (
                rng.choice(EDGES),
                rng.choice((0, 8, 17, 16 * 1024, 16 * 1025, 0xFFFFFFF0)),
            )
        return gpa, length

    def offer(self) -> None:
        rng, size = self.rng, self.ring.size
        waiting = (self.ring.avail_idx - self.twin.used_idx) % 65536
        if waiting >= size and rng.random() < 0.98:
            return
        free = [i for i in range(size) if i not in self.offered] or [0]
        wanted = min(len(free), rng.choice((1, 1, 1, 2, 3, 8)))
        indices = rng.sample(free, wanted)
        self.fill(self.ring.desc, size, indices)
        head = indices[0] if rng.random() < 0.97 else rng.randrange(size + 2)
        self.ring.offer(head)
        self.offered.add(head)

    def publish(self) -> None:
        rng = self.rng
        jump = rng.choice((1, -1, self.ring.size + 1, 40000)) if rng.random() < 0.02 else 0
        self.ring.set_avail_idx(self.ring.avail_idx + jump)
        self.ring.set_used_event(rng.choice((self.twin.used_idx, rng.randrange(65536))))
        if not self.ring.event_idx and rng.random() < 0.3:
            self.memory.write(self.ring.avail, bytes([rng.randrange(2), 0]))

    def move_memory(self) -> None:
        """A region goes, or goes and comes back elsewhere in this process with what it held."""
        base = self.rng.choice((LOW, BESIDE, HIGH))
        held = self.memory.read(base, REGIONS[base])
        self.memory.remove(base, REGIONS[base])
        if self.rng.random() < 0.3:
            self.pop()
        self.memory.add(base, REGIONS[base])
        self.memory.write(base, held)

    # --- the device

    def pop(self) -> None:
        mine = self.same(self.queue.pop(), self.twin.pop())
        if isinstance(mine, Popped):
            self.chains += 1
            if self.rng.random() < 0.1:
                self.queue.unpop()
                self.twin.unpop()
            else:
                self.heads.append(mine.head)

    def push(self) -> None:
        if self.heads:
            head = self.heads.pop(self.rng.randrange(len(self.heads)))
            self.offered.discard(head)
            written = self.rng.randrange(1 << 32)
            self.queue.push(head, written)
            self.twin.push(head, written)

    def flush(self) -> None:
        self.same(self.queue.flush(), self.twin.flush())

    def kicks(self) -> None:
        if self.rng.random() < 0.5:
            self.same(self.queue.kicks_on(), self.twin.kicks_on())
        else:
            self.queue.kicks_off()
            self.twin.kicks_off()

    def look(self) -> None:
        if self.rng.random() < 0.2:
            self.queue.look_again()
            self.twin.look_again()
        self.same(self.queue.empty(), self.twin.empty())
        assert self.queue.counts() == self.twin.counts()

    def step(self) -> None:
        actions = {
            self.offer: 10, self.publish: 6, self.pop: 10, self.push: 7, self.flush: 4,
            self.kicks: 2, self.look: 2,
        }  # fmt: skip
        draw = self.rng.random()
        if draw < 0.01:
            self.move_memory()
        elif draw < (0.6 if self.twin.broken else 0.015):
            assert self.queue.stop()["last_avail"] == self.twin.stop()["last_avail"]
            self.restart()
        else:
            self.rng.choices(list(actions), list(actions.values()))[0]()


@pytest.mark.parametrize("seed", range(40))
def test_ring_agrees_with_the_twin_on_random_drivers(seed: int) -> None:
    pair = Pair(seed)

    for _step in range(3000):
        pair.step()
    assert pair.chains > 30
