"""vmm/host/tty.py: a program in raw mode on a terminal of its own, ended in every way there is."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator

import pytest

from vmm.errors import HostError
from vmm.host.tty import RawTerminal, raw_attributes

PATIENCE = 20
LFLAG = 3

# A session of its own with the terminal as its controlling one, as a shell's job has it. It says
# where it is on stderr and does what the lines on another descriptor tell it.
PROGRAM = """
import fcntl, os, signal, sys, termios
from vmm.host.tty import RawTerminal
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
guard = RawTerminal(0)
guard.enter()
print("raw", file=sys.stderr, flush=True)
for line in os.fdopen(int(sys.argv[1])):
    exec(line)
    print("done", file=sys.stderr, flush=True)
"""


class Job:
    """The program above on a new terminal; `do` runs a line of Python in it."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        self.before = termios.tcgetattr(self.slave)
        orders, self._orders = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(orders)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=subprocess.PIPE,
            pass_fds=[orders],
        )
        os.close(orders)
        self.expect(b"raw\n")

    def expect(self, answer: bytes) -> None:
        assert self.process.stderr is not None
        assert select.select([self.process.stderr], [], [], PATIENCE)[0]
        assert self.process.stderr.readline() == answer

    def order(self, line: str) -> None:
        os.write(self._orders, line.encode() + b"\n")

    def do(self, line: str) -> None:
        self.order(line)
        self.expect(b"done\n")

    def is_raw(self) -> bool:
        flags = termios.tcgetattr(self.slave)[LFLAG]
        return not flags & (termios.ICANON | termios.ECHO | termios.ISIG)

    def is_as_before(self) -> bool:
        return termios.tcgetattr(self.slave) == self.before

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def ended_by(self, number: int) -> int:
        """Sends the signal until it is seen: an interpreter that is just about to wait for its
        next order looks at a signal only when another one interrupts that wait.
        """
        for _ in range(PATIENCE):
            self.process.send_signal(number)
            try:
                return self.process.wait(1)
            except subprocess.TimeoutExpired:
                continue
        return self.wait()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()
        for fd in (self.master, self.slave, self._orders):
            os.close(fd)


@pytest.fixture
def job() -> Iterator[Job]:
    job = Job()
    yield job
    job.close()


def until(condition: Callable[[], bool]) -> None:
    """Polls what no event tells: the state of another process or of a terminal."""
    import time

    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def stopped(process: subprocess.Popen[bytes]) -> bool:
    with open(f"/proc/{process.pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "T"


def test_every_byte_passes_in_raw_mode(job: Job) -> None:
    assert job.is_raw()
    job.order("os.write(2, b''.join(os.read(0, 1) for _ in range(7)))")
    os.write(job.master, b"\x01\x03\x04\x11\x13\x1a\r")
    assert job.process.stderr is not None
    assert os.read(job.process.stderr.fileno(), 7) == b"\x01\x03\x04\x11\x13\x1a\r"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("sys.exit(3)", 3),
        ("raise RuntimeError('unforeseen')", 1),
        ("guard.close(); sys.exit(0)", 0),
        ("signal.raise_signal(signal.SIGINT)", -signal.SIGINT),
        ("signal.raise_signal(signal.SIGTERM)", -signal.SIGTERM),
        ("signal.raise_signal(signal.SIGHUP)", -signal.SIGHUP),
    ],
)
def test_terminal_is_restored_on_every_way_out(job: Job, line: str, status: int) -> None:
    job.order(line)
    assert job.wait() == status
    assert job.is_as_before()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_terminal_is_restored_when_another_process_ends_us(job: Job, number: int) -> None:
    assert job.ended_by(number) == -number
    assert job.is_as_before()


def test_stop_gives_the_terminal_back_until_it_continues(job: Job) -> None:
    for _ in range(3):
        # An orphaned group is not stopped by SIGTSTP: SIGSTOP stands for its default action.
        job.order(
            "kill = os.kill; os.kill = lambda pid, number: kill(pid, signal.SIGSTOP);"
            "signal.raise_signal(signal.SIGTSTP); os.kill = kill"
        )
        until(lambda: stopped(job.process))
        assert job.is_as_before()
        job.process.send_signal(signal.SIGCONT)
        job.expect(b"done\n")
        until(job.is_raw)


def test_continuing_sets_raw_mode_again_after_a_stop_nobody_sees(job: Job) -> None:
    job.process.send_signal(signal.SIGSTOP)
    until(lambda: stopped(job.process))
    termios.tcsetattr(job.slave, termios.TCSANOW, job.before)  # as a shell does
    job.process.send_signal(signal.SIGCONT)
    job.do("pass")
    until(job.is_raw)


def test_handlers_of_others_are_left_alone(job: Job) -> None:
    job.do("guard.close(); signal.signal(signal.SIGTERM, lambda *_: sys.exit(9)); guard.enter()")
    assert job.is_raw()
    assert job.ended_by(signal.SIGTERM) == 9
    assert job.is_as_before()


def test_closed_guard_leaves_default_handlers(job: Job) -> None:
    job.do(
        "guard.close(); assert all(signal.getsignal(n) == signal.SIG_DFL for n in "
        "(signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP, signal.SIGCONT))"
    )
    assert job.is_as_before()


def test_terminal_of_another_job_is_not_touched(job: Job) -> None:
    # A child in the foreground: we are in the background from here on.
    job.do("guard.close()")
    job.do("signal.signal(signal.SIGTTOU, signal.SIG_IGN)")
    job.do("child = os.fork() or (os.setpgid(0, 0), signal.pause())")
    job.do("os.setpgid(child, child) if os.getpgid(child) != child else None")
    job.do("os.tcsetpgrp(0, child)")
    job.do("guard.enter()")
    assert job.is_as_before()
    job.do("os.kill(child, signal.SIGKILL); os.waitpid(child, 0); os.tcsetpgrp(0, os.getpgrp())")
    job.process.send_signal(signal.SIGCONT)
    job.do("pass")
    until(job.is_raw)
    job.order("sys.exit(0)")
    assert job.wait() == 0
    assert job.is_as_before()


def test_raw_attributes_leave_the_original_alone() -> None:
    master, slave = os.openpty()
    before = termios.tcgetattr(slave)
    raw_attributes(before)
    assert before == termios.tcgetattr(slave)
    os.close(master)
    os.close(slave)


def test_what_is_no_terminal_is_refused() -> None:
    with open(os.devnull) as null, pytest.raises(HostError, match="terminal's settings failed"):
        RawTerminal(null.fileno())
