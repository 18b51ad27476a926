"""core/backends/chan*.c: peers that go, one after the other, or only half."""

from __future__ import annotations

import os
import socket
from errno import EPIPE

import pytest

from tests.native.chanrig import ChanRig, MakeChan, read_exactly
from vmm.native import lib


@pytest.fixture
def rig(make_chan: MakeChan) -> ChanRig:
    return make_chan()


def test_reader_that_leaves_is_noticed_and_holds_nobody_up(make_chan: MakeChan) -> None:
    rig = make_chan(4096)
    read_end = rig.pipe_out()
    os.close(read_end)
    rig.wait_event("LOOP_PEER_LOST", EPIPE)
    assert rig.put(b"x" * 10_000) == 10_000
    assert rig.counters()["dropped_bytes"] == 10_000


def test_input_of_another_descriptor_outlives_the_reader(rig: ChanRig) -> None:
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    for fd in (in_read, out_write):
        os.set_blocking(fd, False)
    assert lib.chan_attach(rig.chan, in_read, out_write) == 0
    os.close(out_read)
    rig.wait_event("LOOP_PEER_LOST", EPIPE)
    rig.put(b"nobody reads this")
    os.write(in_write, b"still heard")
    rig.wait(lambda: rig.received == b"still heard")
    assert lib.chan_has_peer(rig.chan)
    os.close(in_write)
    rig.wait(lambda: rig.events.count(("LOOP_PEER_LOST", 0)) == 1)
    assert not lib.chan_has_peer(rig.chan)
    assert lib.chan_out_error(rig.chan) == EPIPE


def test_reader_that_leaves_a_blocked_guest_frees_it(make_chan: MakeChan) -> None:
    rig = make_chan(4096)
    read_end = rig.pipe_out()
    while rig.put(b"x" * 4096):
        rig.settle()
    os.close(read_end)
    rig.wait(lambda: rig.ready >= 1)
    assert lib.chan_can_put(rig.chan)


def test_end_of_input_leaves_the_output_open(rig: ChanRig) -> None:
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    for fd in (in_read, out_write):
        os.set_blocking(fd, False)
    assert lib.chan_attach(rig.chan, in_read, out_write) == 0
    os.write(in_write, b"last")
    os.close(in_write)
    rig.wait(lambda: rig.received == b"last")
    rig.settle()
    rig.put(b"still here")
    assert read_exactly(out_read, 10) == b"still here"
    assert rig.events == []


def test_half_closed_socket_still_listens_until_it_closes(rig: ChanRig) -> None:
    theirs = rig.pair()
    theirs.sendall(b"command")
    theirs.shutdown(socket.SHUT_WR)
    rig.wait(lambda: rig.received == b"command")
    rig.settle()
    rig.put(b"answer")
    assert theirs.recv(100) == b"answer"
    assert rig.events == []
    theirs.close()
    rig.wait_event("LOOP_PEER_LOST")


def test_input_sent_before_closing_still_arrives(rig: ChanRig) -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b"i" * 20_000)
    theirs.close()
    fd = ours.detach()
    assert lib.chan_attach(rig.chan, fd, fd) == 0
    rig.wait_event("LOOP_PEER_LOST", 0)
    assert rig.received == b"i" * 20_000


def test_listener_takes_one_peer_after_the_other_and_keeps_what_is_between(
    rig: ChanRig, tmp_path: object
) -> None:
    path = f"{tmp_path}/console"
    rig.listen(path)
    rig.put(b"before")
    first, second = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    first.connect(path)
    assert first.recv(100) == b"before"
    second.connect(path)
    rig.put(b"one")
    assert first.recv(100) == b"one"
    first.close()
    rig.wait_event("LOOP_PEER_LOST")
    rig.put(b"two")
    assert second.recv(100) == b"two"
    second.sendall(b"hello")
    rig.wait(lambda: rig.received == b"hello")
    second.close()
    rig.wait(lambda: len(rig.events) == 4)
    joined, lost = ("LOOP_PEER_JOINED", 0), ("LOOP_PEER_LOST", 0)
    assert rig.events == [joined, lost, joined, lost]
    assert rig.counters()["peers"] == 2
