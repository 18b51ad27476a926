"""A measured process: its CPU time in nanoseconds, exits and memory, at a mark it prints."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

KVM_DEBUG = Path("/sys/kernel/debug/kvm")
CPUCLOCK_SCHED = 2  # clock ids of other processes: include/linux/posix-timers.h
PRINTED_MAX = 2000  # characters of output shown when something went wrong


def say(text: str) -> None:
    """Progress on stderr; silence there is taken for a freeze of the lab (lab.py)."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Failed(Exception):
    """A measured program did not do what it was started for."""


class Watched:
    """One process whose standard output is read here. A context manager: leaving kills it."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.argv = list(argv)
        self.output = b""
        self._seen = 0  # up to here it was asked for
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._child = subprocess.Popen(
            self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors
        )
        assert self._child.stdout is not None
        self._fd = self._child.stdout.fileno()
        self.pid = self._child.pid

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.end(signal.SIGKILL)
        assert self._child.stdout is not None
        self._child.stdout.close()
        self._errors.close()

    def end(self, signum: int) -> None:
        """Ends it, if it still runs, and waits."""
        if self._child.poll() is None:
            self._child.send_signal(signum)
            self._child.wait()

    def until(self, mark: bytes, patience: float) -> None:
        """Reads up to the next `mark`; Failed if the process ends or takes longer."""
        deadline = time.monotonic() + patience
        with selectors.DefaultSelector() as selector:
            selector.register(self._fd, selectors.EVENT_READ)
            while (at := self.output.find(mark, self._seen)) < 0:
                if not selector.select(deadline - time.monotonic()):
                    raise Failed(self._story(f"no {mark!r} in {patience:g} s"))
                data = os.read(self._fd, 1 << 16)
                if not data:
                    raise Failed(self._story(f"ended before {mark!r}"))
                self.output += data
        self._seen = at + len(mark)

    def cpu_ns(self) -> int:
        """User and system time of all its threads, those that ended too."""
        return time.clock_gettime_ns(~self.pid << 3 | CPUCLOCK_SCHED)

    def kvm_stats(self) -> dict[str, int]:
        """KVM's counters of this process's only VM."""
        folders = list(KVM_DEBUG.glob(f"{self.pid}-*"))
        if len(folders) != 1:
            raise Failed(self._story(f"has {len(folders)} VMs in {KVM_DEBUG}"))
        texts = {file.name: file.read_text() for file in folders[0].iterdir() if file.is_file()}
        return {name: int(text) for name, text in texts.items() if text.strip().isdecimal()}

    def memory(self, guest_bytes: int) -> dict[str, int]:
        """RSS and private dirty memory in bytes, without mappings of the guest's size or more.

        Pages of files on tmpfs count as dirty while one process maps them, so only anonymous ones
        are taken as private.
        """
        total = {"rss": 0, "private dirty": 0}
        for entry in smaps(Path(f"/proc/{self.pid}/smaps").read_text()):
            if entry["Size"] < guest_bytes:
                total["rss"] += entry["Rss"]
                total["private dirty"] += min(entry["Private_Dirty"], entry["Anonymous"])
        return total

    def _story(self, what: str) -> str:
        self._errors.seek(0)
        said = (self.output + self._errors.read()).decode(errors="replace")[-PRINTED_MAX:]
        return f"{' '.join(self.argv)}: {what}\n{said}"


def smaps(text: str) -> list[dict[str, int]]:
    """One dictionary a mapping, in bytes."""
    entries: list[dict[str, int]] = []
    for line in text.splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            entries.append({})
        elif found := re.match(r"(\w+): +(\d+) kB", line):
            entries[-1][found[1]] = int(found[2]) << 10
    return entries


def cpu_of(argv: Sequence[str], codes: Sequence[int] = (0,)) -> tuple[float, str]:
    """Runs `argv` to its end: CPU seconds of the whole process, and what it printed."""
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
        _pid, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read().decode(errors="replace")
    if child.returncode not in codes:
        raise Failed(f"{' '.join(argv)}: ended with {child.returncode}\n{said[-PRINTED_MAX:]}")
    return usage.ru_utime + usage.ru_stime, said
