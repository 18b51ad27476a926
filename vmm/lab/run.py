"""`vmm lab run` and `vmm lab shell`: boot L1, run the job, give back its exit status.

Exit statuses: the command's own (128 + n when signal n ended it); 124 when --timeout ran out; 4
when the lab itself failed (said on stderr); 2 for a configuration that cannot work; 128 + n when
signal n ended the lab.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NoReturn

from vmm.errors import EXIT_TIMEOUT
from vmm.host.apt import Root
from vmm.lab import image, kernel, lookinside, qemu
from vmm.lab.config import LabConfig, check
from vmm.lab.session import CommandTimeout, Session, Trouble, say, tail, write_all
from vmm.lab.terminal import Left, Terminal

ATTEMPTS = 2


class Stopped(Exception):
    """A signal asked the lab to end."""

    def __init__(self, signum: int) -> None:
        self.signum = signum


def lab_run(config: LabConfig) -> int:
    """Runs config.command in the lab; its output appears on stdout and stderr as it comes."""
    check(config, interactive=False)
    return _run(config, interactive=False)


def lab_shell(config: LabConfig) -> int:
    """A shell (or config.command) in the lab with this terminal as its terminal."""
    check(config, interactive=True)
    return _run(config, interactive=True)


def _run(config: LabConfig, *, interactive: bool) -> int:
    root, found = kernel.tools(), kernel.kernel()
    base = image.base(root, found)
    cwd = config.cwd or os.getcwd()
    job = image.job(config, found, cwd, dict(os.environ), interactive)
    with _signals():
        try:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    return _boot(config, root, found, (base.read_bytes(), job), interactive)
                except Trouble as trouble:
                    if trouble.started or attempt == ATTEMPTS:
                        raise
                    say(f"{trouble}; trying once more")
        except CommandTimeout:
            say(f"the command ran longer than {config.timeout:g} s and was stopped")
            return EXIT_TIMEOUT
        except Stopped as stopped:
            say(f"stopped by {signal.Signals(stopped.signum).name}")
            return 128 + stopped.signum
        except Left:
            say("left")
            return 128 + signal.SIGINT
        except BrokenPipeError:
            return 128 + signal.SIGPIPE
    raise AssertionError("unreachable")


def _boot(
    config: LabConfig,
    root: Root,
    found: kernel.Kernel,
    archives: tuple[bytes, bytes],
    interactive: bool,
) -> int:
    names = ["monitor", "console", *qemu.PORTS, *(["terminal"] if interactive else [])]
    with ExitStack() as stack:
        ours: dict[str, socket.socket] = {}
        theirs: dict[str, socket.socket] = {}
        for name in names:
            ours[name], theirs[name] = qemu.channel()
            stack.callback(ours[name].close)
            stack.callback(theirs[name].close)
        initrd = os.memfd_create("initrd")
        stack.callback(os.close, initrd)
        for archive in archives:
            write_all(initrd, archive)
        channels = {name: theirs[name].fileno() for name in names}
        files = qemu.Files(
            root=root, kernel=found, initrd=f"/proc/self/fd/{initrd}", channels=channels
        )
        machine = qemu.Machine(
            qemu.command(config, files), root, pass_fds=(initrd, *channels.values())
        )
        stack.callback(machine.stop)
        for end in theirs.values():
            end.close()
        monitor = ours.pop("monitor")
        session = Session(machine, ours)
        try:
            return _watch(config, session, stack, interactive)
        except Trouble:
            if seen := lookinside.registers(monitor):
                say(f"where L1 stands:\n{seen}")
            raise


def _watch(config: LabConfig, session: Session, stack: ExitStack, interactive: bool) -> int:
    if not config.quiet:
        session.note = say
    if config.console == "-":
        session.console_sink = lambda data: write_all(2, data)
    elif config.console is not None:
        sink = os.open(config.console, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        stack.callback(os.close, sink)
        session.console_sink = lambda data: write_all(sink, data)
    if interactive:
        stack.enter_context(Terminal(session))
    try:
        return session.run(
            patience=config.boot_patience, timeout=config.timeout, counted=config.count
        )
    except Trouble as trouble:
        console = tail(session.console)
        if console:
            say(f"the last lines of L1's console:\n{console}")
        raise trouble


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM, SIGINT and SIGHUP become `Stopped`; what was there before is put back."""

    def stop(signum: int, frame: object) -> NoReturn:
        raise Stopped(signum)

    before = {s: signal.signal(s, stop) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
