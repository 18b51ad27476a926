"""One boot of L1 seen from outside: its channels, its progress, its end.

L1 tells each step on the control channel (see init.sh). A step that takes too long, a QEMU that
uses no CPU time while L1 counts instructions, a QEMU that ends: each is a `Trouble` that says
whether the command had begun, because only before that may the lab try again.
"""

from __future__ import annotations

import os
import selectors
import socket
import sys
import time
from collections.abc import Callable

from vmm.errors import HostError
from vmm.lab.qemu import Machine

TICK = 0.5  # seconds between looks at the clock
SILENT = 120.0  # seconds without the beat that an L1 gives every few seconds, however busy
FROZEN = 10.0  # seconds without any CPU time: an instruction-counted L1 never idles
CONSOLE_KEPT = 16 << 10  # bytes of L1's console kept for a report
LINE_MAX = 4096  # bytes of one control line


class Trouble(HostError):
    """L1 failed. `started` says whether the command had begun."""

    def __init__(self, what: str, *, started: bool) -> None:
        super().__init__(what)
        self.started = started


class CommandTimeout(Exception):
    """The command ran longer than --timeout."""


class Session:
    """Moves bytes between L1's channels and ours until the command has ended."""

    def __init__(self, machine: Machine, channels: dict[str, socket.socket]) -> None:
        self._machine = machine
        self._channels = channels
        self._selector = selectors.DefaultSelector()
        self._control = b""
        self._pending: dict[str, bytearray] = {}  # what L1's channels have not taken yet
        self.console = bytearray()
        self.console_sink: Callable[[bytes], None] = lambda data: None
        self.note: Callable[[str], None] = lambda text: None
        self.on_job: Callable[[], None] = lambda: None
        self.stage = "start"
        self.status: int | None = None
        self._sinks: dict[str, Callable[[bytes], None]] = {
            "control": self._on_control,
            "console": self._on_console,
            "messages": self._on_console,
            "stdout": lambda data: write_all(1, data),
            "stderr": lambda data: write_all(2, data),
            "terminal": lambda data: write_all(1, data),
        }
        for name, channel in channels.items():
            self._selector.register(channel, selectors.EVENT_READ, (channel.fileno(), name))
        fd = machine.messages.fileno()
        self._selector.register(fd, selectors.EVENT_READ, (fd, "messages"))

    @property
    def started(self) -> bool:
        return self.stage == "job"

    def on_readable(self, fd: int, action: Callable[[], None]) -> None:
        """Calls `action` when `fd` has something to read."""
        self._selector.register(fd, selectors.EVENT_READ, (fd, action))

    def forget(self, fd: int) -> None:
        self._selector.unregister(fd)

    def send(self, name: str, data: bytes) -> None:
        """To one of L1's channels; what the socket does not take at once goes when it can."""
        self._pending.setdefault(name, bytearray()).extend(data)
        self._flush(name)

    def _flush(self, name: str) -> None:
        """Never waits: L1 may itself be waiting for us to take its output."""
        channel, pending = self._channels[name], self._pending[name]
        try:
            del pending[: channel.send(pending)]
        except BlockingIOError:
            pass
        except OSError:
            pending.clear()  # QEMU is gone: the loop notices
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if pending else 0)
        if channel in self._selector.get_map():
            self._selector.modify(channel, events, (channel.fileno(), name))

    def run(self, *, patience: float, timeout: float | None, counted: bool) -> int:
        """Until the command's exit status arrives; raises Trouble or CommandTimeout."""
        clock = _Watch(self._machine, patience, timeout, counted)
        while self.status is None:
            stage = self.stage
            ready = self._selector.select(TICK)
            for key, events in ready:
                fd, target = key.data
                if callable(target):
                    target()
                    continue
                if events & selectors.EVENT_WRITE:
                    self._flush(target)
                if events & selectors.EVENT_READ:
                    self._read(fd, target)
            if ready:
                clock.heard()
            if self.stage != stage:
                clock.progress()
            if self.status is None and self._machine.ended():
                self._drain()
                if self.status is None:
                    raise Trouble(f"L1 died {self._where()}", started=self.started)
            clock.check(self.started, self._where)
        self._drain()
        return self.status

    def _where(self) -> str:
        return "while the command ran" if self.started else f"during its boot, after '{self.stage}'"

    def _read(self, fd: int, name: str) -> bool:
        try:
            data = os.read(fd, 1 << 16)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(fd)
            return False
        self._sinks[name](data)
        return True

    def _drain(self) -> None:
        """What L1 wrote before its last word is in our sockets already: take it all."""
        for key in list(self._selector.get_map().values()):
            fd, target = key.data
            while not callable(target) and self._read(fd, target):
                pass

    def _on_console(self, data: bytes) -> None:
        self.console += data
        del self.console[:-CONSOLE_KEPT]
        self.console_sink(data)

    def _on_control(self, data: bytes) -> None:
        *lines, self._control = (self._control + data).split(b"\n")
        self._control = self._control[-LINE_MAX:]
        for line in lines:
            word, _, rest = line.decode(errors="replace").partition(" ")
            if word == "stage":
                self.stage = rest
                if self.started:
                    self.on_job()
            elif word == "note":
                self.note(rest)
            elif word == "fault":
                raise Trouble(f"L1 says: {rest}", started=self.started)
            elif word == "exit" and rest.isdecimal():
                self.status = int(rest)


class _Watch:
    """The clocks: one for a step of the boot, one for the command, one for QEMU's CPU time."""

    def __init__(
        self, machine: Machine, patience: float, timeout: float | None, counted: bool
    ) -> None:
        self._machine = machine
        self._patience = patience
        self._timeout = timeout
        self._counted = counted
        self._since = self._alive = time.monotonic()
        self._used = 0.0

    def progress(self) -> None:
        """A new stage."""
        self._since = time.monotonic()

    def heard(self) -> None:
        """L1 moved bytes, or waited for us to: in either case it was not frozen."""
        self._alive = time.monotonic()

    def check(self, started: bool, where: Callable[[], str]) -> None:
        now = time.monotonic()
        if not started and now - self._since > self._patience:
            raise Trouble(f"L1 froze {where()}: no step in {self._patience:g} s", started=False)
        if started and self._timeout is not None and now - self._since > self._timeout:
            raise CommandTimeout
        if not self._counted:
            if started and now - self._alive > SILENT:
                raise Trouble(f"L1 froze {where()}: silent for {SILENT:g} s", started=started)
            return
        used = self._machine.cpu_seconds()
        if used != self._used:
            self._used, self._alive = used, now
        elif now - self._alive > FROZEN:
            raise Trouble(f"L1 froze {where()}: QEMU idles for {FROZEN:g} s", started=started)


def write_all(fd: int, data: bytes) -> None:
    """All of `data` to one of our own descriptors, blocking or not."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            with selectors.DefaultSelector() as waiter:
                waiter.register(fd, selectors.EVENT_WRITE)
                waiter.select()


def tail(console: bytearray, lines: int = 15) -> str:
    """The console's last lines, printable, for a report."""
    text = console.decode(errors="replace").replace("\r", "")
    kept = [line for line in text.splitlines() if line.strip()][-lines:]
    return "\n".join(
        "  L1| " + "".join(c if c.isprintable() else "?" for c in line) for line in kept
    )


def say(text: str) -> None:
    """One line of the lab's own on stderr."""
    print(f"vmm lab: {text}", file=sys.stderr, flush=True)
