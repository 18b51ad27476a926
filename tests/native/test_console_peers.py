"""Consoles on sockets, and readers that are slow or gone when a console closes."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.native.consolerig import PATIENCE, connected, console
from vmm.control.consoles import loss_reason
from vmm.errors import HostError
from vmm.loop import IoLoop


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


def test_socket_in_use_is_refused(loop: IoLoop, tmp_path: Path) -> None:
    first = console(loop, "socket", tmp_path / "sock")
    with pytest.raises(HostError, match="Another process listens on"):
        console(loop, "socket", tmp_path / "sock")
    first.close()
