"""vmm/backends/chardev.py: each kind of console opened, used and given back."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.native.consolerig import console, descriptors, received, wait_until
from vmm.errors import HostError
from vmm.loop import IoLoop


@pytest.mark.parametrize("kind", ["null", "pty", "file", "socket", "pipe", "ring"])
def test_closed_console_leaves_no_descriptor(loop: IoLoop, tmp_path: Path, kind: str) -> None:
    before = descriptors()
    chan = console(loop, kind, "" if kind == "ring" else tmp_path / "console")
    chan.put(b"text")
    chan.patience = 0
    chan.close()
    chan.close()
    assert descriptors() == before
    assert chan.tail() == b"text"
    assert chan.counters()["out_bytes"] == 4


def test_file_holds_the_whole_output_after_close(loop: IoLoop, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("old")
    chan = console(loop, "file", path)
    chan.put(b"line\r\n" * 50_000)
    chan.close()
    assert path.read_bytes() == b"line\r\n" * 50_000
    assert chan.lost == 0


def test_file_may_be_a_fifo_with_a_late_reader(loop: IoLoop, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    chan = console(loop, "file", path)
    chan.put(b"kept")
    reader = os.open(path, os.O_RDONLY)
    assert os.read(reader, 10) == b"kept"
    chan.close()
    os.close(reader)


def test_pty_keeps_its_output_between_readers(loop: IoLoop) -> None:
    chan = console(loop, "pty")
    for text in (b"first\n", b"second\n"):
        chan.put(text)
        with open(chan.path, "r+b", buffering=0) as slave:
            assert slave.read(100) == text
    chan.close()


def test_pty_passes_every_byte_unchanged(loop: IoLoop) -> None:
    chan = console(loop, "pty")
    with open(chan.path, "r+b", buffering=0) as slave:
        every = bytes(range(256))
        chan.put(every)
        seen = b""
        while len(seen) < 256:
            seen += slave.read(256)
        assert seen == every
    chan.close()


@pytest.mark.parametrize(
    ("kind", "path", "sentence"),
    [
        ("file", "missing/log", "Opening .*missing/log for the console failed: No such file"),
        ("file", ".", "Opening .* for the console failed: Is a directory"),
        ("socket", "missing/sock", "Listening on .*missing/sock for the console failed: No such"),
        ("socket", "taken", "taken is there already and is not a socket; remove it"),
        ("socket", "n" * 120, "longer than 107 bytes"),
        (
            "connect",
            "missing",
            "Connecting to .*missing .*No such file.*; start the listener first",
        ),
        ("connect", "taken", "Connecting to .*taken .*refused"),
        ("pipe", "missing/p", "Opening .*missing/p.in for the console failed: No such file"),
        ("pipe", "mixed", "mixed.out is there already and is not a FIFO; remove it"),
    ],
)
def test_consoles_that_cannot_be_opened_say_why(
    loop: IoLoop, tmp_path: Path, kind: str, path: str, sentence: str
) -> None:
    (tmp_path / "taken").write_text("")
    (tmp_path / "mixed.out").write_text("")
    before = descriptors()
    with pytest.raises(HostError, match=sentence):
        console(loop, kind, tmp_path / path)
    assert descriptors() == before


def test_descriptor_that_is_not_open_is_refused(loop: IoLoop) -> None:
    with pytest.raises(HostError, match="Descriptor 999, named for the console, cannot be used"):
        console(loop, "fd", "999")


def test_pipe_is_two_fifos_that_go_with_the_console(loop: IoLoop, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.out")
    chan = console(loop, "pipe", tmp_path / "p")
    assert chan.connected
    chan.put(b"early")
    with open(tmp_path / "p.out", "rb", buffering=0) as reader:
        assert reader.read(100) == b"early"
    with open(tmp_path / "p.in", "wb", buffering=0) as writer:
        writer.write(b"input")
    assert received(chan, 5) == b"input"
    chan.close()
    assert [path.name for path in tmp_path.iterdir()] == ["p.out"]  # which was there before


def test_inherited_descriptor_is_used_as_far_as_its_mode_goes(loop: IoLoop) -> None:
    read_end, write_end = os.pipe()
    chan = console(loop, "fd", str(write_end))
    chan.put(b"out")
    assert os.read(read_end, 10) == b"out"
    chan.close()
    assert os.read(read_end, 10) == b""  # nobody has it open any more
    os.close(read_end)


def test_inherited_socket_goes_both_ways(loop: IoLoop) -> None:
    ours, theirs = socket.socketpair()
    chan = console(loop, "fd", str(ours.detach()))
    theirs.send(b"in")
    assert received(chan, 2) == b"in"
    chan.put(b"out")
    assert theirs.recv(10) == b"out"
    chan.close()
    assert theirs.recv(10) == b""
    theirs.close()


def test_ring_keeps_the_last_bytes_in_memory(loop: IoLoop) -> None:
    chan = console(loop, "ring", "4K")
    assert chan.connected
    chan.put(bytes(range(256)) * 20)
    assert chan.take(10) == bytes(range(10))
    assert len(chan.take(8192)) == 4086
    assert chan.take(1) == b""
    assert chan.feed(b"typed") == 5
    assert received(chan, 5) == b"typed"
    assert chan.feed(b"x" * (1 << 20)) < 1 << 20
    chan.close()


def test_pty_is_connected_while_somebody_has_it_open(loop: IoLoop) -> None:
    chan = console(loop, "pty")
    assert chan.connected
    chan.follow_opens()
    wait_until(lambda: not chan.connected)
    for _ in range(3):
        with open(chan.path, "rb", buffering=0), open(chan.path, "rb", buffering=0):
            wait_until(lambda: chan.connected)
        wait_until(lambda: not chan.connected)
    chan.close()
