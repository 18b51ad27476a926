"""Xen's block device with several rings at once."""

from __future__ import annotations

import random
from pathlib import Path
from struct import pack, unpack

from tests.native.grantrig import PAGE
from tests.native.xblkrig import DATA, OKAY, RING, SECTOR, SECTORS, WRITE, XblkRig, direct
from tests.native.xenringrig import Wires, until

QUEUES = 3


class Queue:
    """The driver's side of a ring of one page."""

    def __init__(self, rig: XblkRig, number: int) -> None:
        self.rig, self.page, self.wires = rig, RING + number, Wires()
        self.prod = self.seen = 0
        rig.memory.write(self.page * PAGE, bytes(12) + pack("<I", 1))
        assert rig.try_connect([self.page], number, self.wires) == 0

    def put(self, request: bytes) -> None:
        at = self.page * PAGE + 64 + self.prod % 32 * 112
        self.rig.memory.write(at, request.ljust(112, b"\0"))
        self.prod += 1

    def submit(self) -> None:
        self.rig.memory.write(self.page * PAGE, pack("<I", self.prod))
        self.wires.kick()

    def answers(self, count: int) -> list[tuple[int, int]]:
        """(id, status) of each."""

        def word() -> int:
            return int(unpack("<I", self.rig.memory.read(self.page * PAGE + 8, 4))[0])

        until(lambda: word() - self.seen == count)
        found = []
        for _ in range(count):
            at = self.page * PAGE + 64 + self.seen % 32 * 112
            number, status = unpack("<Qxxh", self.rig.memory.read(at, 12))
            found.append((number, status))
            self.seen += 1
        return found


def test_rings_are_served_side_by_side(tmp_path: Path) -> None:
    image, dice = tmp_path / "disk", random.Random(4)
    image.write_bytes(bytes(SECTORS * SECTOR))
    rig = XblkRig(image, queues=QUEUES)
    rig.disconnect()
    assert rig.try_connect([RING], QUEUES) == -22
    queues = [Queue(rig, number) for number in range(QUEUES)]
    assert rig.try_connect([RING], 1) == -16
    wanted = {}
    for _ in range(10):
        for index, queue in enumerate(queues):
            for slot in range(32):
                page, sector = DATA + index * 32 + slot, (index * 32 + slot) * 8
                wanted[sector] = dice.randbytes(PAGE)
                rig.memory.write(page * PAGE, wanted[sector])
                queue.put(direct(WRITE, sector, [(page, 0, 7)], slot))
            queue.submit()
        for queue in queues:
            assert sorted(queue.answers(32)) == [(slot, OKAY) for slot in range(32)]
    data = image.read_bytes()
    assert all(data[s * SECTOR : s * SECTOR + PAGE] == bytes_ for s, bytes_ in wanted.items())
    assert rig.counters()["requests"] == 10 * 32 * QUEUES
    rig.close()
    for queue in queues:
        queue.wires.close()


def test_one_broken_ring_ends_them_all(tmp_path: Path) -> None:
    image = tmp_path / "disk"
    image.write_bytes(bytes(SECTORS * SECTOR))
    rig = XblkRig(image, queues=2)
    other = Queue(rig, 1)
    rig.submit(33)
    until(lambda: rig.events == [0])
    other.put(direct(WRITE, 0, [(DATA, 0, 7)]))
    kicks = rig.counters()["kicks"]
    other.submit()
    until(lambda: rig.counters()["kicks"] > kicks)
    assert rig.memory.read(other.page * PAGE + 8, 4) == bytes(4)
    rig.close()
    other.wires.close()
