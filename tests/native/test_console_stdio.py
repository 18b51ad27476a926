"""The console on our own stdin and stdout: whose they are, and what is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.native.consolerig import PATIENCE, console
from vmm.loop import IoLoop
from vmm.native import lib

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
