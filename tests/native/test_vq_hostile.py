"""Drivers that break the rules of a split ring: one way each, and what becomes of the queue."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from tests.native.vqrig import HIGH, HOLE, RAM, ROM, SIZE, answer, popped, ready
from tests.virtiodriver import DESC_INDIRECT, DESC_NEXT, DESC_WRITE, DriverRing

Row = tuple[int, int, int, int]  # address, length, flags, next


def descriptors(*rows: Row, table: int = 0) -> Callable[[DriverRing], None]:
    def arrange(ring: DriverRing) -> None:
        for i, row in enumerate(rows):
            ring.set_desc(i, *row, table=table)
        if not table:
            ring.offer(0)
            ring.publish()

    return arrange


def in_table(*rows: Row, length: int = 0) -> Callable[[DriverRing], None]:
    """A head that names a table with these rows."""

    def arrange(ring: DriverRing) -> None:
        table = 0x9000
        descriptors(*rows, table=table)(ring)
        descriptors((table, length or 16 * len(rows), DESC_INDIRECT, 0))(ring)

    return arrange


def indices(jump: int, heads: tuple[int, ...] = ()) -> Callable[[DriverRing], None]:
    def arrange(ring: DriverRing) -> None:
        ring.set_desc(0, 0x8000, 16)
        for head in heads:
            ring.offer(head)
        ring.set_avail_idx(ring.avail_idx + jump)

    return arrange


BUFFER = (0x8000, 16)
N, W, I = DESC_NEXT, DESC_WRITE, DESC_INDIRECT  # noqa: E741
CASES: dict[str, tuple[Callable[[DriverRing], None], int]] = {
    "a chain that comes back to its head": (
        descriptors((*BUFFER, N, 1), (*BUFFER, N, 0)), errno.ELOOP),
    "a descriptor that follows itself": (descriptors((*BUFFER, N, 0)), errno.ELOOP),
    "a loop that begins late": (
        descriptors((*BUFFER, N, 1), (*BUFFER, N, 2), (*BUFFER, N, 1)), errno.ELOOP),
    "a next one outside the ring": (descriptors((*BUFFER, N, SIZE)), errno.ENXIO),
    "a next one far outside": (descriptors((*BUFFER, N, 65535)), errno.ENXIO),
    "a head outside the ring": (indices(0, (SIZE,)), errno.ENXIO),
    "a head far outside": (indices(0, (65535,)), errno.ENXIO),
    "a head that the device has": (indices(0, (0, 0)), errno.EEXIST),
    "an index ahead by more than the ring": (indices(SIZE + 1), errno.ERANGE),
    "an index half around": (indices(32768), errno.ERANGE),
    "an index that runs backwards": (indices(-1), errno.ERANGE),
    "a readable one after a writable one": (
        descriptors((*BUFFER, N | W, 1), (*BUFFER, 0, 0)), errno.EPROTO),
    "a readable one after a writable one of no length": (
        descriptors((0x8000, 0, N | W, 1), (*BUFFER, 0, 0)), errno.EPROTO),
    "a hole": (descriptors((HOLE, 16, 0, 0)), errno.EFAULT),
    "the end of memory": (descriptors((HOLE - 1, 2, 0, 0)), errno.EFAULT),
    "device registers": (descriptors((0xE000_0000, 4, W, 0)), errno.EFAULT),
    "an address that wraps": (descriptors(((1 << 64) - 8, 16, 0, 0)), errno.EFAULT),
    "the largest length": (descriptors((0x8000, 0xFFFF_FFFF, W, 0)), errno.EFAULT),
    "a write to a ROM": (descriptors((ROM, 16, W, 0)), errno.EROFS),
    "more than 4 GiB": (
        descriptors((HIGH, 0xFFFF_FFFF, N, 1), (HIGH, 2, W, 0)), errno.EOVERFLOW),
    "more than 4 GiB to write": (
        descriptors((HIGH, 1 << 31, N | W, 1), (HIGH, 1 << 31, N | W, 2), (HIGH, 1, W, 0)),
        errno.EOVERFLOW),
    "a table in a table": (in_table((0x9000, 16, I, 0)), errno.EPROTO),
    "a table in itself, with another before": (
        in_table((*BUFFER, N, 1), (0x9000, 32, I, 0)), errno.EPROTO),
    "a table with a next one": (
        descriptors((0x9000, 16, I | N, 1), (*BUFFER, 0, 0)), errno.EPROTO),
    "a table of nothing": (descriptors((0x9000, 0, I, 0)), errno.EINVAL),
    "half a descriptor": (descriptors((0x9000, 8, I, 0)), errno.EINVAL),
    "a table of one and a half": (descriptors((0x9000, 24, I, 0)), errno.EINVAL),
    "a table too long": (descriptors((0x9000, 16 * 1025, I, 0)), errno.EINVAL),
    "a table longer than memory": (descriptors((0x9000, 0xFFFF_FFF0, I, 0)), errno.EINVAL),
    "a table in a hole": (descriptors((HOLE, 16, I, 0)), errno.EFAULT),
    "a table in device registers": (descriptors((0xE000_0000, 16, I, 0)), errno.EFAULT),
    "a table across two regions": (descriptors((RAM - 16, 32, I, 0)), errno.EFAULT),
    "a table that wraps": (descriptors(((1 << 64) - 16, 32, I, 0)), errno.EFAULT),
    "a next one outside the table": (in_table((*BUFFER, N, 1)), errno.ENXIO),
    "a loop in a table": (in_table((*BUFFER, N, 1), (*BUFFER, N, 0)), errno.ELOOP),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("healthy", [0, 5])
def test_ring_is_broken_for_good_by(case: str, healthy: int) -> None:
    ring, queue = ready(indirect=True)
    arrange, expected = CASES[case]
    for _ in range(healthy):
        ring.add([b"fine"])
        ring.publish()
        answer(queue)
        ring.collect()
    arrange(ring)
    if case == "a head that the device has":
        ring.publish()
        popped(queue)

    verdicts = [queue.pop(), queue.pop()]

    assert verdicts == [-expected, -expected]
    assert queue.broken == -expected
    assert queue.empty()
    assert not queue.kicks_on()


def test_table_that_was_not_negotiated_breaks_the_ring() -> None:
    ring, queue = ready()
    ring.add([b"x"], indirect=True)
    ring.publish()

    assert queue.pop() == -errno.EPROTO


def test_more_pieces_than_the_device_takes_break_the_ring() -> None:
    ring, queue = ready(cap=3)
    ring.add([b"1", b"2"], [1])
    ring.add([b"1", b"2"], [1, 1])
    ring.publish()

    assert len(popped(queue).out) == 2
    assert queue.pop() == -errno.E2BIG


CONFIGURATIONS = {
    "no entries": ({"size": 0}, errno.EINVAL),
    "three entries": ({"size": 3}, errno.EINVAL),
    "too many entries": ({"size": 2048}, errno.EINVAL),
    "descriptors not aligned": ({"desc": 0x1008}, errno.EINVAL),
    "available ring not aligned": ({"avail": 0x2001}, errno.EINVAL),
    "used ring not aligned": ({"used": 0x3002}, errno.EINVAL),
    "more in flight than entries": ({"last_avail": 9, "used_idx": 0}, errno.EINVAL),
    "used ahead of available": ({"last_avail": 0, "used_idx": 1}, errno.EINVAL),
    "descriptors in a hole": ({"desc": HOLE}, errno.EFAULT),
    "available ring in registers": ({"avail": 0xE000_0000}, errno.EFAULT),
    "used ring at the end of memory": ({"used": HOLE - 64}, errno.EFAULT),
    "available ring across two regions": ({"avail": RAM - 8}, errno.EFAULT),
    "descriptors that wrap": ({"desc": (1 << 64) - 16}, errno.EFAULT),
    "used ring in a ROM": ({"used": ROM}, errno.EROFS),
}


@pytest.mark.parametrize("case", CONFIGURATIONS)
def test_queue_does_not_start_with(case: str) -> None:
    ring, queue = ready()
    change, expected = CONFIGURATIONS[case]

    result = queue.start(**{**ring.config(), **change})

    assert result == -expected
    assert queue.pop() in {-expected, -errno.ESHUTDOWN}
    assert queue.start(**ring.config()) == 0


def test_available_ring_may_lie_in_a_rom() -> None:
    ring, queue = ready()

    assert queue.start(**{**ring.config(), "avail": ROM}) == 0
    assert queue.pop() == 0
