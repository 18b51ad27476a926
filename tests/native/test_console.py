"""vmm/backends/chardev.py: each kind of console opened, used and given back."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vmm.backends.chardev import Chan, open_console
from vmm.consoleconfig import ConsoleConfig
from vmm.control.consoles import loss_reason
from vmm.errors import HostError
from vmm.loop import IoLoop
from vmm.native import ffi, lib

PATIENCE = 20


@pytest.fixture
def loop() -> Iterator[IoLoop]:
    loop = IoLoop()
    loop.start()
    yield loop
    loop.close()


def console(loop: IoLoop, kind: str, path: str | Path = "", **options: object) -> Chan:
    return open_console(ConsoleConfig(kind=kind, path=str(path)), loop, **options)  # type: ignore[arg-type]


def descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


def connected(path: str | Path) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(PATIENCE)
    peer.connect(str(path))
    return peer


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


def test_socket_is_private_and_goes_with_the_console(loop: IoLoop, tmp_path: Path) -> None:
    path = tmp_path / "sock"
    chan = console(loop, "socket", path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with connected(path) as peer:
        chan.put(b"hello")
        assert peer.recv(10) == b"hello"
    chan.close()
    assert not path.exists()


def test_stale_socket_is_replaced(loop: IoLoop, tmp_path: Path) -> None:
    path = tmp_path / "sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    chan = console(loop, "socket", path)
    connected(path).close()
    chan.close()


def test_socket_of_somebody_else_is_left_alone_on_close(loop: IoLoop, tmp_path: Path) -> None:
    path = tmp_path / "sock"
    chan = console(loop, "socket", path)
    path.unlink()
    path.write_text("not ours")
    chan.close()
    assert path.read_text() == "not ours"


def test_connect_talks_to_a_listener(loop: IoLoop, tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "sock"))
    listener.listen(1)
    chan = console(loop, "connect", tmp_path / "sock")
    peer, _address = listener.accept()
    chan.put(b"hello")
    assert peer.recv(10) == b"hello"
    peer.close()
    listener.close()
    chan.close()


def test_close_waits_for_a_reader_that_is_slow(loop: IoLoop, tmp_path: Path) -> None:
    chan = console(loop, "socket", tmp_path / "sock")
    size = 3 << 20
    script = (
        "import socket, sys, time\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "n = 0\n"
        "while (d := s.recv(65536)): n += len(d); time.sleep(0.002)\n"
        "print(n)\n"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "sock")], stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "ready\n"
    chan.put(b"x" * size)
    loop.stop()
    chan.close()
    assert chan.lost == 0
    assert reader.communicate(timeout=PATIENCE)[0] == f"{size}\n"


def test_close_gives_up_on_a_reader_that_takes_nothing(loop: IoLoop, tmp_path: Path) -> None:
    chan = console(loop, "socket", tmp_path / "sock")
    with connected(tmp_path / "sock"):
        while not chan.connected:
            time.sleep(0.001)
        chan.put(b"x" * (4 << 20))
        chan.patience = 0.3
        chan.close()
    assert 0 < chan.lost == chan.given_up
    assert loss_reason(chan) == f"nobody took them from {tmp_path}/sock"


def test_reader_too_slow_for_drop_loses_what_was_dropped(loop: IoLoop, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    chan = console(loop, "file", path, overflow="drop", limit=4096)
    chan.patience = PATIENCE
    put = chan.put(b"x" * (1 << 20))
    with path.open("rb") as reader:
        closing = threading.Thread(target=chan.close)
        closing.start()
        seen = reader.read()  # until nobody writes any more
        closing.join()
    assert chan.lost == put - seen.count(b"x")
    assert loss_reason(chan).startswith("its reader is too slow; --console-overflow block")


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


def test_socket_in_use_is_refused(loop: IoLoop, tmp_path: Path) -> None:
    first = console(loop, "socket", tmp_path / "sock")
    with pytest.raises(HostError, match="Another process listens on"):
        console(loop, "socket", tmp_path / "sock")
    first.close()


STDIO = """
import os, sys
from vmm.__main__ import reserve_descriptors
reserve_descriptors()
from vmm.backends.chardev import open_console
from vmm.loop import IoLoop
from vmm.consoleconfig import ConsoleConfig
loop = IoLoop()
loop.start()
chan = open_console(ConsoleConfig(kind="stdio"), loop)
chan.put(b"x" * int(sys.argv[1]))
loop.stop()
chan.close()
print(chan.lost, os.get_blocking(0), os.get_blocking(1), file=sys.stderr)
"""


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


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def received(chan: Chan, length: int) -> bytes:
    """What a front-end gets until it has `length` bytes."""
    data = bytearray()

    def take(_opaque: object, buffer: Any, count: int) -> int:
        data.extend(ffi.buffer(buffer, count))
        return count

    rx = ffi.callback("size_t(void *, const uint8_t *, size_t)", take)
    front = ffi.new("struct chan_front *", {"rx": rx})
    lib.chan_set_front(chan.pointer, front)
    wait_until(lambda: len(data) >= length)
    lib.chan_set_front(chan.pointer, ffi.NULL)
    return bytes(data)


def test_stdio_leaves_the_shells_descriptors_blocking() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STDIO, "1000000"], input=b"", capture_output=True, check=True
    )
    assert done.stdout == b"x" * 1_000_000
    assert done.stderr == b"0 True True\n"


def test_stdio_appends_to_a_redirected_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    with path.open("ab") as log:
        subprocess.run(
            [sys.executable, "-c", STDIO, "3"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            check=True,
            capture_output=False,
            stderr=subprocess.DEVNULL,
        )
    assert path.read_text() == "before\nxxx"


def test_reader_of_stdout_that_leaves_does_not_kill_us() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STDIO, "1000000"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(PATIENCE) == 0


def test_stdio_works_with_closed_descriptors() -> None:
    done = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" 3 <&- >&-', sys.executable, STDIO],
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, b"0 True True\n")


def test_terminal_on_stdin_is_raw_while_the_console_is_open(
    loop: IoLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vmm.backends import chardev

    master, slave = os.openpty()
    monkeypatch.setattr(chardev, "STDIN", slave)
    monkeypatch.setattr(chardev, "STDOUT", slave)
    before = termios.tcgetattr(slave)
    escapes: list[int] = []
    loop.on(lib.LOOP_ESCAPE, lambda value, _source: escapes.append(value))
    chan = console(loop, "stdio")
    assert not termios.tcgetattr(slave)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)
    os.write(master, b"\x01x")
    while not escapes:
        done = __import__("threading").Event()
        loop.call(done.set)
        assert done.wait(PATIENCE)
    chan.close()
    assert escapes == [ord("x")]
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)
