"""core/virtio/vq.c and vq_pop.c with a driver that keeps to the rules."""

from __future__ import annotations

import errno

import pytest

from tests.native.vqrig import HIGH, RAM, Queue, answer, popped, ready
from tests.virtiodriver import (
    DESC_INDIRECT,
    DESC_NEXT,
    DESC_WRITE,
    Chain,
)

MODES = [(event_idx, indirect) for event_idx in (False, True) for indirect in (False, True)]
BOTH = pytest.mark.parametrize("event_idx", [False, True])


@pytest.mark.parametrize(("event_idx", "indirect"), MODES)
def test_requests_are_answered_while_the_indices_wrap(event_idx: bool, indirect: bool) -> None:
    ring, queue = ready(at=65400, event_idx=event_idx, indirect=indirect)

    for i in range(300):
        pieces = [b"request", b" %d" % i][: 1 + i % 2]
        sent = ring.add(pieces, [4, 20], indirect=indirect and i % 3 == 0)
        ring.publish()
        chain = popped(queue)
        assert queue.read(chain) == b"".join(pieces)
        assert [length for _, length in chain.into] == [4, 20]
        queue.push(chain.head, queue.write(chain, b"answer %d" % i))
        queue.flush()
        [used] = ring.collect()
        assert (used.chain, used.data) == (sent, b"answer %d" % i)

    assert queue.pop() == 0
    assert queue.counts()[0] == 300


def test_chains_come_in_order_and_may_be_used_in_any() -> None:
    ring, queue = ready()
    sent = [ring.add([bytes([i])]) for i in range(4)]
    ring.publish()

    heads = [popped(queue).head for _ in sent]
    for head in reversed(heads):
        queue.push(head)

    assert heads == [chain.head for chain in sent]
    assert ring.collect() == []  # nothing before the flush
    assert queue.flush()
    assert [used.chain for used in ring.collect()] == sent[::-1]


def test_chain_given_back_comes_again() -> None:
    ring, queue = ready()
    ring.add([b"first"])
    ring.add([b"second"])
    ring.publish()

    first = popped(queue)
    queue.unpop()

    assert popped(queue) == first
    assert queue.counts() == (1, 5, 0)
    assert queue.read(popped(queue)) == b"second"


def test_bytes_readable_and_written_are_counted() -> None:
    ring, queue = ready()
    ring.add([b"1234", b"56"], [100])
    ring.publish()

    answer(queue, b"789")

    assert queue.counts() == (1, 9, 1)


def test_copies_begin_anywhere_and_end_with_the_pieces() -> None:
    ring, queue = ready()
    ring.add([b"abc"], [3, 4])
    ring.publish()

    chain = popped(queue)

    assert queue.write(chain, b"0123456789", 2) == 5
    assert queue.write(chain, b"x", 7) == 0
    queue.push(chain.head, 7)
    queue.flush()
    assert ring.collect()[0].data == b"\0\x0001234"


@BOTH
def test_device_that_sleeps_is_notified_and_a_busy_one_is_not(event_idx: bool) -> None:
    ring, queue = ready(event_idx=event_idx)

    assert not queue.kicks_on()
    ring.add([b"1"])
    assert ring.publish()
    queue.kicks_off()
    popped(queue)
    ring.add([b"2"])
    assert not ring.publish()
    assert queue.kicks_on()  # there is more: look again
    popped(queue)
    assert not queue.kicks_on()
    ring.add([b"3"])
    assert ring.publish()


@BOTH
def test_driver_that_polls_is_not_interrupted(event_idx: bool) -> None:
    ring, queue = ready(event_idx=event_idx)
    for _ in range(3):
        ring.add([b"x"])
    ring.publish()

    ring.interrupts_off()
    assert not answer(queue)
    ring.collect()
    assert not ring.interrupts_on()
    assert answer(queue)
    ring.interrupts_off()
    answer(queue)
    assert ring.interrupts_on()  # used meanwhile: the driver finds it by looking
    assert queue.counts()[2] == 1


def test_interrupt_comes_with_the_flush_that_passes_the_event_index() -> None:
    ring, queue = ready(event_idx=True)
    for _ in range(6):
        ring.add([b"x"])
    ring.publish()
    ring.set_used_event(3)

    wanted = []
    for count in (2, 1, 2, 1):
        for _ in range(count):
            queue.push(popped(queue).head)
        wanted.append(queue.flush())

    assert wanted == [False, False, True, False]


def test_flush_without_anything_used_asks_for_nothing() -> None:
    _ring, queue = ready()

    assert not queue.flush()


def test_stopped_queue_goes_on_where_it_was() -> None:
    ring, queue = ready(event_idx=True, indirect=True)
    for text in (b"one", b"two"):
        ring.add([text])
    ring.publish()
    answer(queue)

    saved = queue.stop()
    assert queue.pop() == -errno.ESHUTDOWN
    other = Queue(queue.memory)
    assert other.start(**saved) == 0

    chain = popped(other)
    assert other.read(chain) == b"two"
    other.push(chain.head)
    other.flush()
    assert len(ring.collect()) == 2
    assert not other.broken


def test_queue_that_was_reset_starts_afresh() -> None:
    ring, queue = ready()
    ring.add([b"never seen"])
    ring.publish()
    ring.set_avail_idx(3000)
    assert queue.pop() == -errno.ERANGE

    ring.clear()
    assert queue.start(**ring.config()) == 0

    ring.add([b"after"])
    ring.publish()
    assert queue.read(popped(queue)) == b"after"


def test_rings_are_found_again_when_memory_moves() -> None:
    ring, queue = ready()
    held = queue.memory.read(0, RAM)
    queue.memory.remove(0, RAM)
    queue.memory.add(0, RAM)  # elsewhere in this process
    queue.memory.write(0, held)

    ring.add([b"here"], [4])
    ring.publish()

    chain = popped(queue)
    assert queue.read(chain) == b"here"
    queue.push(chain.head, queue.write(chain, b"back"))
    queue.flush()
    assert ring.collect()[0].data == b"back"


@pytest.mark.parametrize("call", ["pop", "flush", "kicks_on", "empty"])
def test_ring_whose_memory_went_is_broken(call: str) -> None:
    ring, queue = ready()
    ring.add([b"x"])
    ring.add([b"y"])
    ring.publish()
    queue.push(popped(queue).head)

    queue.memory.remove(0, RAM)

    assert getattr(queue, call)() == {"pop": -errno.EFAULT, "empty": True}.get(call, False)
    assert queue.pop() == queue.broken == -errno.EFAULT


def test_buffer_over_adjoining_regions_has_two_pieces() -> None:
    ring, queue = ready()
    queue.memory.write(RAM - 3, b"abcdef")
    ring.add_chain(Chain([(RAM - 3, 6)], []))
    ring.publish()

    chain = popped(queue)

    assert [length for _, length in chain.out] == [3, 3]
    assert queue.read(chain) == b"abcdef"


def test_chain_may_end_in_a_table() -> None:
    ring, queue = ready(indirect=True)
    table = ring.arena.alloc(48)
    texts = [ring.arena.put(text) for text in (b"direct ", b"and ", b"indirect")]
    ring.set_desc(0, texts[0], 7, DESC_NEXT, 5)
    # The write flag of a descriptor that names a table means nothing (2.7.5.3.2).
    ring.set_desc(5, table, 48, DESC_INDIRECT | DESC_WRITE)
    ring.set_desc(0, texts[1], 4, DESC_NEXT, 2, table=table)
    ring.set_desc(2, texts[2], 8, DESC_NEXT, 1, table=table)
    ring.set_desc(1, texts[2], 8, DESC_WRITE, 0, table=table)
    ring.offer(0)
    ring.publish()

    chain = popped(queue)

    assert queue.read(chain) == b"direct and indirect"
    assert chain.in_len == 8


def test_table_may_have_more_descriptors_than_the_ring() -> None:
    ring, queue = ready(indirect=True, cap=2000)
    ring.add([b"x"] * 1024, indirect=True)
    ring.publish()

    assert len(popped(queue).out) == 1024


@pytest.mark.parametrize("length", [0, 1])
def test_descriptor_of_no_length_is_no_piece(length: int) -> None:
    ring, queue = ready()
    ring.set_desc(0, 0xDEAD_BEEF_0000, 0, DESC_NEXT | DESC_WRITE, 1)
    ring.set_desc(1, 0x8000, length, DESC_WRITE)
    ring.offer(0)
    ring.publish()

    chain = popped(queue)

    assert (len(chain.into), chain.in_len) == (length, length)


def test_chain_of_4_gib_is_the_longest() -> None:
    ring, queue = ready()
    ring.set_desc(0, HIGH, 0xFFFF_FFFF, DESC_NEXT, 1)
    ring.set_desc(1, HIGH, 1, DESC_WRITE)
    ring.offer(0)
    ring.publish()

    assert popped(queue).out_len == 0xFFFF_FFFF
