"""core/loop/loop.c and vmm/loop.py: events, served descriptors, removal, stopping."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from tests.threadkit import thread_name
from vmm.errors import KvmError
from vmm.loop import IoLoop
from vmm.native import ffi, lib

QUEUE = 64


@pytest.fixture
def loop() -> Iterator[IoLoop]:
    loop = IoLoop()
    yield loop
    loop.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def settle(loop: IoLoop) -> None:
    """Returns when the running loop has dealt with everything that was there before."""
    done = threading.Event()
    loop.call(done.set)
    assert done.wait(10)


def next_event(loop: IoLoop) -> tuple[int, int]:
    event = ffi.new("struct loop_event *")
    assert lib.loop_run(loop.pointer, event) == 0
    return event.kind, event.value


def test_events_come_out_in_the_order_of_posting(loop: IoLoop) -> None:
    for n in range(QUEUE):
        assert lib.loop_post(loop.pointer, lib.LOOP_USER + n, n * n, ffi.NULL) == 0
    assert [next_event(loop) for _ in range(QUEUE)] == [
        (lib.LOOP_USER + n, n * n) for n in range(QUEUE)
    ]


def test_full_queue_refuses_and_counts(loop: IoLoop) -> None:
    results = [lib.loop_post(loop.pointer, lib.LOOP_USER, 0, ffi.NULL) for _ in range(QUEUE + 2)]
    assert results == [0] * QUEUE + [-28, -28]
    assert loop.counters()["refused"] == 2


def test_event_posted_once_waits_once_for_each_source(loop: IoLoop) -> None:
    one, two = ffi.cast("void *", 1), ffi.cast("void *", 2)
    for value, source in enumerate((one, one, two, one, two)):
        assert lib.loop_post_once(loop.pointer, lib.LOOP_USER, value, source) == 0
    assert [next_event(loop)[1] for _ in range(2)] == [0, 2]
    lib.loop_post_once(loop.pointer, lib.LOOP_USER, 5, one)
    lib.loop_post_once(loop.pointer, lib.LOOP_USER + 1, 6, one)
    assert [next_event(loop) for _ in range(2)] == [(lib.LOOP_USER, 5), (lib.LOOP_USER + 1, 6)]
    assert loop.counters()["posted"] == 4


def test_forgotten_sources_leave_the_other_events(loop: IoLoop) -> None:
    one, two = ffi.cast("void *", 1), ffi.cast("void *", 2)
    for value, source in enumerate((one, two, one, two)):
        lib.loop_post(loop.pointer, lib.LOOP_USER, value, source)
    lib.loop_forget(loop.pointer, one)
    assert [next_event(loop)[1] for _ in range(2)] == [1, 3]


def test_stop_before_the_run_ends_it_after_the_queued_events(loop: IoLoop) -> None:
    lib.loop_stop(loop.pointer)
    lib.loop_post(loop.pointer, lib.LOOP_USER, 7, ffi.NULL)
    lib.loop_wake(loop.pointer)
    lib.loop_wake(loop.pointer)
    assert [next_event(loop)[0] for _ in range(3)] == [
        lib.LOOP_USER,
        lib.LOOP_WAKE,
        lib.LOOP_STOPPED,
    ]


def test_second_thread_inside_the_loop_is_refused(loop: IoLoop) -> None:
    results: list[int] = []
    one_is_out = threading.Event()

    def run() -> None:
        results.append(lib.loop_run(loop.pointer, ffi.new("struct loop_event *")))
        one_is_out.set()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert one_is_out.wait(10)
    lib.loop_stop(loop.pointer)
    for thread in threads:
        thread.join()
    assert results == [-16, 0]


def test_callbacks_get_value_and_source_and_specific_ones_go_first(loop: IoLoop) -> None:
    seen: list[object] = []
    ours, other = ffi.cast("void *", 0x1000), ffi.cast("void *", 0x2000)
    loop.on(lib.LOOP_ESCAPE, lambda value, _source: seen.append(("ours", value)), ours)
    loop.on(lib.LOOP_ESCAPE, lambda value, source: seen.append((source, value)))
    loop.start()
    lib.loop_post(loop.pointer, lib.LOOP_ESCAPE, 1, ours)
    lib.loop_post(loop.pointer, lib.LOOP_ESCAPE, 2, other)
    settle(loop)
    loop.off(lib.LOOP_ESCAPE)
    lib.loop_post(loop.pointer, lib.LOOP_ESCAPE, 3, other)
    settle(loop)
    assert seen == [("ours", 1), (other, 2)]


def test_served_descriptor_is_called_until_it_is_empty(pipe: tuple[int, int], loop: IoLoop) -> None:
    taken: list[bytes] = []
    all_taken = threading.Event()

    def take_one() -> None:
        taken.append(os.read(pipe[0], 1))
        if len(taken) == 3:
            all_taken.set()

    loop.serve(pipe[0], lib.EPOLLIN, take_one)
    loop.start()
    os.write(pipe[1], b"abc")
    assert all_taken.wait(10)
    settle(loop)
    assert taken == [b"a", b"b", b"c"]


def test_unserved_descriptor_is_never_called_again(pipe: tuple[int, int], loop: IoLoop) -> None:
    calls: list[int] = []
    token = loop.serve(pipe[0], lib.EPOLLIN, lambda: calls.append(1))
    loop.start()
    os.write(pipe[1], b"x")  # stays there: the loop calls again and again
    while not calls:
        settle(loop)
    loop.unserve(token)
    count = len(calls)
    for _ in range(10):
        settle(loop)
    assert len(calls) == count


def test_descriptor_may_be_closed_while_it_is_served(loop: IoLoop) -> None:
    read_end, write_end = os.pipe()
    calls: list[int] = []
    token = loop.serve(read_end, lib.EPOLLIN, lambda: (calls.append(1), loop.unserve(token)))
    os.close(read_end)
    loop.start()
    os.write(write_end, b"x")
    os.close(write_end)
    while not calls:
        settle(loop)
    assert len(calls) == 1


def test_regular_file_cannot_be_served(loop: IoLoop) -> None:
    with open(__file__) as file, pytest.raises(KvmError, match="not permitted"):
        loop.serve(file.fileno(), lib.EPOLLIN, lambda: None)


def test_removing_an_unknown_handle_does_nothing(loop: IoLoop) -> None:
    lib.loop_remove(loop.pointer, -1)
    lib.loop_remove(loop.pointer, 1 << 30)
    assert lib.loop_modify(loop.pointer, 5, lib.EPOLLIN) == -2


def test_calls_run_on_the_loop_thread_in_order(loop: IoLoop) -> None:
    order: list[tuple[int, str]] = []
    loop.start()
    for n in range(100):
        loop.call(lambda n=n: order.append((n, thread_name())))
    settle(loop)
    assert order == [(n, "io0") for n in range(100)]


def test_failing_callback_is_reported_and_the_loop_goes_on(loop: IoLoop) -> None:
    failures: list[BaseException] = []
    loop.on_failure = failures.append
    loop.start()
    loop.call(lambda: 1 // 0)
    settle(loop)
    assert [type(error) for error in failures] == [ZeroDivisionError]


def test_loop_can_run_again_after_a_stop(loop: IoLoop) -> None:
    for _ in range(50):
        loop.start()
        loop.stop()
    loop.start()
    settle(loop)


def test_closed_loop_leaves_no_descriptor(pipe: tuple[int, int]) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    loop = IoLoop()
    loop.serve(pipe[0], lib.EPOLLIN, lambda: None)
    ffi.release(loop.pointer)
    assert sorted(os.listdir("/proc/self/fd")) == before


# --- asking


def test_question_is_answered_on_the_loops_thread(loop: IoLoop) -> None:
    assert loop.ask(threading.current_thread) is threading.current_thread()
    loop.start()
    assert loop.ask(threading.current_thread) is not threading.current_thread()
    assert loop.ask(lambda: loop.ask(lambda: 7)) == 7
    loop.stop()
    assert loop.ask(threading.current_thread) is threading.current_thread()


@pytest.mark.parametrize("running", [False, True])
def test_failure_is_the_askers(loop: IoLoop, running: bool) -> None:
    if running:
        loop.start()
    with pytest.raises(ZeroDivisionError):
        loop.ask(lambda: 1 // 0)
    assert loop.ask(lambda: "goes on") == "goes on"


def test_every_question_is_answered_while_the_loop_starts_and_stops(loop: IoLoop) -> None:
    done = threading.Event()
    answers: list[int] = []

    def ask() -> None:
        while not done.is_set():
            answers.append(loop.ask(lambda: 1))

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for _ in range(200):
        loop.start()
        loop.stop()
    done.set()
    for asker in askers:
        asker.join(20)
        assert not asker.is_alive()
    assert answers
