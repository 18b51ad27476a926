"""core/backends/chan*.c: the buffer against its twin, slow readers, paced input."""

from __future__ import annotations

import os
import random
import tempfile
import time
from errno import ENOSPC

import pytest

from tests.native.chanrig import ChanRig, MakeChan, read_exactly
from tests.native.twins.chan import ChanTwin
from vmm.layout import MIB
from vmm.loop import IoLoop
from vmm.native import ffi, lib


@pytest.fixture
def rig(make_chan: MakeChan) -> ChanRig:
    return make_chan()


# --- the buffer


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_buffer_agrees_with_the_twin(seed: int, drop: bool) -> None:
    rng = random.Random(seed)
    limit = rng.choice((4096, 5000, 32768, 100_000, 3 * MIB))
    loop = IoLoop()
    chan = lib.chan_create(loop.pointer, limit, lib.CHAN_DROP if drop else lib.CHAN_BLOCK)
    twin = ChanTwin(limit, drop)
    read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    assert lib.chan_attach(chan, -1, write_end) == 0
    seen = bytearray()
    counters, tail = ffi.new("struct chan_counters *"), ffi.new("uint8_t[]", lib.CHAN_TAIL)
    for _ in range(300):
        data = rng.randbytes(rng.choice((1, 16, 4096, rng.randrange(limit * 2))))
        assert lib.chan_can_put(chan) == twin.can_put()
        assert lib.chan_put(chan, data, len(data)) == twin.put(data)
        if rng.random() < 0.2:
            while lib.chan_flush(chan, 0):
                seen += os.read(read_end, MIB)
            seen += os.read(read_end, MIB) if twin.buffer else b""
            twin.flush()
            assert seen == twin.stream
            seen.clear()
            twin.stream.clear()
        lib.chan_counters(chan, counters)
        assert (counters.buffered, counters.dropped_bytes) == (len(twin.buffer), twin.dropped)
        assert bytes(ffi.buffer(tail, lib.chan_tail(chan, tail, lib.CHAN_TAIL))) == twin.tail()
    lib.chan_destroy(chan)
    os.close(read_end)


@pytest.mark.parametrize("limit", [0, 4095, (1 << 30) + 1, (1 << 64) - 1])
def test_limit_out_of_range_is_refused(limit: int) -> None:
    loop = IoLoop()
    assert lib.chan_create(loop.pointer, limit, lib.CHAN_DROP) == ffi.NULL
    assert ffi.errno == 22


def test_lost_bytes_leave_a_mark_with_their_number(make_chan: MakeChan) -> None:
    rig = make_chan(4096, drop=True)
    data = random.Random(1).randbytes(10_000)
    assert rig.put(data) == len(data)
    read_end = rig.pipe_out()
    expected = b"\r\n[vmm: 5904 bytes lost]\r\n" + data[-4096:]
    assert read_exactly(read_end, len(expected)) == expected
    assert rig.counters()["dropped_bytes"] == 5904


def test_full_buffer_refuses_and_tells_when_there_is_room(make_chan: MakeChan) -> None:
    rig = make_chan(4096)
    assert rig.put(b"x" * 5000) == 4096
    assert not lib.chan_can_put(rig.chan)
    assert rig.put(b"x") == 0
    read_end = rig.pipe_out()
    rig.wait(lambda: rig.ready == 1)
    assert lib.chan_can_put(rig.chan)
    assert read_exactly(read_end, 4096) == b"x" * 4096


# --- output


@pytest.mark.parametrize("drop", [False, True])
def test_ten_megabytes_to_a_slow_reader_lose_nothing(make_chan: MakeChan, drop: bool) -> None:
    rig = make_chan(16 * MIB, drop)
    data = random.Random(2).randbytes(10 * MIB)
    read_end = rig.pipe_out()
    for at in range(0, len(data), 65536):
        piece = data[at : at + 65536]
        assert rig.put(piece) == len(piece)
    seen = bytearray()
    while len(seen) < len(data):
        seen += os.read(read_end, 8192)
        if len(seen) % 65536 == 0:
            time.sleep(0.002)
    assert seen == data
    assert rig.counters()["dropped_bytes"] == 0


def test_continuous_output_wakes_the_loop_once_an_interval(rig: ChanRig) -> None:
    read_end = rig.pipe_out()
    rig.settle()
    before = rig.counters()["wakeups"]
    began = time.monotonic_ns()
    for _ in range(20_000):
        rig.put(b"x")
    lib.chan_flush(rig.chan, 1000)
    intervals = (time.monotonic_ns() - began) // lib.CHAN_FLUSH_NS
    assert rig.counters()["wakeups"] - before <= intervals + 2
    assert read_exactly(read_end, 20_000) == b"x" * 20_000


def test_output_before_a_peer_is_kept_for_it(rig: ChanRig) -> None:
    rig.put(b"early")
    rig.settle()
    assert read_exactly(rig.pipe_out(), 5) == b"early"


def test_blocking_pipe_that_is_full_does_not_hold_up_the_loop(rig: ChanRig) -> None:
    data = random.Random(3).randbytes(300_000)
    read_end = rig.pipe_out(blocking=True)
    rig.put(data)
    for _ in range(5):
        time.sleep(0.01)
        rig.settle()
    assert read_exactly(read_end, len(data)) == data


def test_regular_file_is_written_directly(rig: ChanRig) -> None:
    with tempfile.TemporaryFile() as file:
        assert lib.chan_attach(rig.chan, -1, os.dup(file.fileno())) == 0
        rig.put(b"line\n" * 1000)
        assert lib.chan_flush(rig.chan, 1000) == 0
        file.seek(0)
        assert file.read() == b"line\n" * 1000


def test_full_disk_ends_the_peer_and_not_the_guest(make_chan: MakeChan) -> None:
    rig = make_chan(4096)
    assert lib.chan_attach(rig.chan, -1, os.open("/dev/full", os.O_WRONLY)) == 0
    rig.put(b"x")
    rig.wait_event("LOOP_PEER_LOST", ENOSPC)
    assert rig.put(b"y" * 10_000) == 10_000
    assert rig.counters()["dropped_bytes"] == 10_001
    assert lib.chan_out_error(rig.chan) == ENOSPC


def test_nowhere_takes_everything_and_keeps_the_tail(make_chan: MakeChan) -> None:
    rig = make_chan(4096)
    assert lib.chan_attach(rig.chan, -1, -1) == 0
    assert rig.put(b"a" * 20_000 + b"end") == 20_003
    assert rig.tail(5) == b"aaend"
    assert rig.counters()["dropped_bytes"] == 0


# --- input


def test_front_end_that_takes_little_gets_everything_in_order(rig: ChanRig) -> None:
    rng = random.Random(4)

    def take(data: bytes) -> int:
        lib.chan_rx_resume(rig.chan)  # "ask me again", given before the answer
        return rng.randrange(min(len(data), 16) + 1)

    rig.take = take
    write_end = rig.pipe_in()
    data = rng.randbytes(50_000)
    for at in range(0, len(data), 5000):
        os.write(write_end, data[at : at + 5000])
    rig.wait(lambda: len(rig.received) == len(data))
    assert rig.received == data


def test_input_nobody_takes_stays_with_the_peer(rig: ChanRig) -> None:
    offers: list[int] = []
    rig.take = lambda data: offers.append(len(data)) or 0
    write_end = rig.pipe_in()
    os.set_blocking(write_end, False)
    sent = 0
    while sent < 4 * MIB:
        try:
            sent += os.write(write_end, b"i" * 4096)
        except BlockingIOError:
            if offers and sent >= 65536:
                break
            rig.settle()
    assert sent < MIB
    for _ in range(3):
        rig.settle()
    assert len(offers) <= 2
    rig.take = len
    lib.chan_rx_resume(rig.chan)
    rig.wait(lambda: len(rig.received) == sent)


def test_input_from_a_file_is_read_to_its_end(rig: ChanRig) -> None:
    data = random.Random(5).randbytes(30_000)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        file.seek(0)
        assert lib.chan_attach(rig.chan, os.dup(file.fileno()), -1) == 0
    rig.wait(lambda: len(rig.received) == len(data))
    assert rig.received == data


def test_front_end_set_later_gets_what_came_before(rig: ChanRig) -> None:
    lib.chan_set_front(rig.chan, ffi.NULL)
    write_end = rig.pipe_in()
    os.write(write_end, b"early")
    rig.settle()
    front = ffi.new("struct chan_front *", {"rx": rig._rx})
    lib.chan_set_front(rig.chan, front)
    rig.wait(lambda: rig.received == b"early")


@pytest.mark.parametrize("piece", [1, 2, 3, 100])
def test_escapes_are_taken_out_and_posted(make_chan: MakeChan, piece: int) -> None:
    rig = make_chan()
    lib.chan_set_escape(rig.chan, True)
    write_end = rig.pipe_in()
    typed = b"a\x01xb\x01\x01c\x01\x01\x01?d"
    for at in range(0, len(typed), piece):
        os.write(write_end, typed[at : at + piece])
        rig.settle()
    rig.wait(lambda: len(rig.received) == 6 and len(rig.events) == 2)
    assert rig.received == b"ab\x01c\x01d"
    assert rig.events == [("LOOP_ESCAPE", ord("x")), ("LOOP_ESCAPE", ord("?"))]


def test_without_escapes_every_byte_passes(rig: ChanRig) -> None:
    write_end = rig.pipe_in()
    os.write(write_end, bytes(range(256)))
    rig.wait(lambda: rig.received == bytes(range(256)))


def test_hung_guest_does_not_keep_the_user_from_the_escape(rig: ChanRig) -> None:
    lib.chan_set_escape(rig.chan, True)
    rig.take = lambda _data: 0
    write_end = rig.pipe_in()
    os.write(write_end, b"i" * 5000 + b"\x01x")
    rig.wait_event("LOOP_ESCAPE", ord("x"))
    assert rig.counters()["in_dropped_bytes"] == 4096
