"""chan_straight.c and chan_link.c: bytes past the buffers, kept buffers, who is connected."""

from __future__ import annotations

import os
import random
import select
import socket
import termios
import tty
from collections.abc import Iterator

import pytest

from tests.native.chanrig import StraightRig, read_exactly
from vmm.layout import KIB
from vmm.native import ffi, lib

EAGAIN, ENOTCONN = 11, 107


@pytest.fixture
def rig() -> Iterator[StraightRig]:
    rig = StraightRig()
    yield rig
    rig.close()


# --- output


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_pieces_reach_the_peer_in_order_after_what_was_put(rig: StraightRig, kind: str) -> None:
    reader = rig.pipe_out() if kind == "pipe" else rig.pair().detach()
    rig.settle()
    assert rig.writev(b"one", b"two") == 6
    rig.put(b"three")
    assert rig.writev(b"four") == -EAGAIN
    rig.wait(lambda: rig.ready == 1)
    assert rig.writev(b"four", b"five") == 8
    assert read_exactly(reader, 19) == b"onetwothreefourfive"
    assert rig.counters()["out_bytes"] == 19
    assert rig.tail() == b"three"
    os.close(reader)


def test_full_peer_takes_part_and_tells_when_it_takes_more(rig: StraightRig) -> None:
    reader = rig.pipe_out()
    data = random.Random(1).randbytes(300 * KIB)
    sent, seen = 0, bytearray()
    while sent < len(data):
        ready = rig.ready  # before: the loop may tell for nothing while the peer is still new
        n = rig.writev(data[sent:])
        if n == -EAGAIN:
            if select.select([reader], [], [], 0)[0]:
                seen += os.read(reader, 64 * KIB)
            rig.wait(lambda ready=ready: rig.ready > ready)
        else:
            sent += n
    seen += read_exactly(reader, len(data) - len(seen))
    assert seen == data
    assert rig.ready > 0
    os.close(reader)


def test_slow_descriptor_is_written_in_small_pieces(rig: StraightRig) -> None:
    reader = rig.pipe_out(blocking=True)
    rig.settle()
    assert rig.writev(b"x" * 1000) == 256
    assert read_exactly(reader, 256) == b"x" * 256
    os.close(reader)


def test_peer_that_left_is_nobody(rig: StraightRig) -> None:
    os.close(rig.pipe_out())
    rig.wait_event("LOOP_PEER_LOST")
    assert rig.writev(b"text") == -ENOTCONN


def test_nobody_by_choice_takes_everything(rig: StraightRig) -> None:
    assert lib.chan_attach(rig.chan, -1, -1) == 0
    assert rig.writev(b"text", b"more") == 8
    assert rig.counters()["dropped_bytes"] == 0


# --- input


def test_input_goes_straight_to_where_there_is_room(rig: StraightRig) -> None:
    writer = rig.pipe_in()
    data = random.Random(2).randbytes(60_000)
    os.write(writer, data)
    rig.wait(lambda: len(rig.received) == len(data))
    assert rig.received == data
    assert max(rig.fills) == sum(rig.pieces)
    rig.settle()  # the loop counts after it has handed over
    assert rig.counters()["in_bytes"] == len(data)
    os.close(writer)


def test_nothing_is_read_while_there_is_no_room(rig: StraightRig) -> None:
    rig.room = 0
    ours, theirs = socket.socketpair()
    assert lib.chan_attach(rig.chan, ours.fileno(), ours.fileno()) == 0
    theirs.send(b"waiting")
    rig.settle()
    rig.settle()
    assert ours.recv(100, socket.MSG_PEEK) == b"waiting"
    assert rig.fills == []
    rig.room = 1
    lib.chan_rx_resume(rig.chan)
    rig.wait(lambda: rig.received == b"waiting")
    ours.detach()
    theirs.close()


def test_escapes_are_looked_for_in_bytes_that_take_the_long_way(rig: StraightRig) -> None:
    lib.chan_set_escape(rig.chan, True)
    writer = rig.pipe_in()
    os.write(writer, b"ab\x01xc")
    rig.wait_event("LOOP_ESCAPE", ord("x"))
    rig.wait(lambda: rig.received == b"abc")
    assert rig.fills == []
    os.close(writer)


def test_peer_that_left_is_noticed_although_nothing_is_read(rig: StraightRig) -> None:
    rig.room = 0
    theirs = rig.pair()
    theirs.send(b"last words")
    rig.settle()
    theirs.close()
    rig.settle()
    assert lib.chan_connected(rig.chan)
    rig.room = 1
    lib.chan_rx_resume(rig.chan)
    rig.wait(lambda: rig.links == [True, False])
    assert rig.received == b"last words"


def test_peer_without_last_words_is_gone_at_once(rig: StraightRig) -> None:
    rig.room = 0
    theirs = rig.pair()
    theirs.send(b"x")
    rig.wait(lambda: rig.links == [True])
    rig.room = 1
    lib.chan_rx_resume(rig.chan)
    rig.wait(lambda: rig.received == b"x")
    rig.room = 0
    theirs.close()
    rig.wait(lambda: rig.links == [True, False])


# --- who is connected


def test_listener_tells_of_every_peer(rig: StraightRig, tmp_path: object) -> None:
    path = f"{tmp_path}/port"
    rig.listen(path)
    rig.settle()
    assert not lib.chan_connected(rig.chan)
    for n in (1, 2):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(path)
            rig.wait(lambda n=n: rig.links == [True, False] * (n - 1) + [True])
            assert lib.chan_connected(rig.chan)
        rig.wait(lambda n=n: rig.links == [True, False] * n)
    assert rig.writev(b"text") == -ENOTCONN


def test_peer_replaced_by_us_never_left(rig: StraightRig) -> None:
    readers = [rig.pipe_out() for _ in range(3)]
    rig.wait(lambda: rig.links == [True])
    rig.settle()
    assert rig.links == [True]
    for reader in readers:
        os.close(reader)


def watched_pty(rig: StraightRig) -> str:
    """The name of a pseudo-terminal that nobody has open."""
    master, slave = os.openpty()
    path = os.ttyname(slave)
    tty.setraw(slave)
    os.set_blocking(master, False)
    assert lib.chan_attach(rig.chan, master, master) == 0
    assert lib.chan_watch_opens(rig.chan, path.encode()) == 0
    os.close(slave)
    rig.wait(lambda: rig.links in ([], [True, False]))
    return path


def test_terminal_is_a_peer_while_somebody_has_it_open(rig: StraightRig) -> None:
    path = watched_pty(rig)
    rig.wait(lambda: not lib.chan_connected(rig.chan))
    assert rig.writev(b"text") == -ENOTCONN
    for n in range(1, 20):
        rig.received.clear()
        with open(path, "r+b", buffering=0) as first, open(path, "r+b", buffering=0) as second:
            rig.wait(lambda: bool(rig.links and rig.links[-1]))
            assert rig.writev(b"out\n") == 4
            assert first.read(100) == b"out\n"
            second.write(b"i\x03n\r")
            rig.wait(lambda: rig.received == b"i\x03n\r")
            assert not termios.tcgetattr(first)[3] & termios.ECHO
        rig.wait(lambda n=n: rig.links.count(False) >= n and not rig.links[-1])


def test_output_waits_for_the_first_who_opens_the_terminal(rig: StraightRig) -> None:
    path = watched_pty(rig)
    rig.wait(lambda: not lib.chan_connected(rig.chan))
    text = b"kept\n" * 20_000
    assert rig.put(text) == len(text)
    with open(path, "rb", buffering=0) as reader:
        assert read_exactly(reader.fileno(), len(text)) == text


def test_peer_followed_by_another_is_told_as_gone_and_come(
    rig: StraightRig, tmp_path: object
) -> None:
    path = f"{tmp_path}/port"
    rig.listen(path)
    first, second = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    first.connect(path)
    second.connect(path)
    rig.wait(lambda: rig.links == [True])
    first.close()
    rig.wait(lambda: rig.links == [True, False, True])
    second.close()


# --- a buffer that is its own end


@pytest.mark.parametrize("drop", [False, True])
def test_kept_buffer_holds_the_last_bytes_or_refuses_more(drop: bool) -> None:
    rig = StraightRig(4096, drop)
    read_end, write_end = os.pipe2(os.O_NONBLOCK)
    assert lib.chan_keep(rig.chan, read_end) == 0
    rig.wait(lambda: rig.links == [True])
    data = random.Random(3).randbytes(10_000)
    taken = rig.writev(data[:1000], data[1000:])
    buffer = ffi.new("uint8_t[]", 8192)
    first = lib.chan_take(rig.chan, buffer, 100)
    got = bytes(ffi.buffer(buffer, first))
    rest = lib.chan_take(rig.chan, buffer, 8192)
    got += bytes(ffi.buffer(buffer, rest))
    assert (first, rest) == (100, 3996)
    assert taken == (10_000 if drop else 4096)
    assert got == (data[-4096:] if drop else data[:4096])
    if not drop:
        rig.wait(lambda: rig.ready == 1)
    os.write(write_end, b"input")
    rig.wait(lambda: rig.received == b"input")
    rig.close()
    os.close(write_end)
