"""`vmm vfio run`: functions taken from the host, a guest with them, and given back, in one command.

The guest runs in a process of its own: whatever happens to that, the functions go back.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from vmm.argv import scan
from vmm.cli.generate import TableCommand
from vmm.config import VmConfig
from vmm.errors import EXIT_OK, EXIT_SIGNAL
from vmm.host.command import vmm_command
from vmm.options import BOOT_OPTIONS
from vmm.vfio.bind import Binder
from vmm.vfio.sysfs import Function, for_vfio

RUN = """Boot a guest with the functions at ADDRESS; give them back to the host when it has ended.

What follows -- are options of `vmm boot`. The functions are checked and bound first, as `vmm vfio
bind` does it; the exit code is that of `vmm boot`. If this command is killed, `vmm vfio restore`
gives back what it took.
"""
TOLD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)  # the kernel tells them to the guest too
SI_KERNEL = 0x80


class RunCommand(TableCommand):
    """Words behind `--` belong to `vmm boot`; click would take them for addresses."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        left = super().parse_args(ctx, args[:at])
        ctx.params["boot"] = tuple(args[at + 1 :])
        return left

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "-- BOOT OPTIONS..."]


def run_guest(options: dict[str, Any], picked: Sequence[Function]) -> int:
    words = boot_words(picked, options.get("boot", ()))
    config = VmConfig.from_values(*scan(words, BOOT_OPTIONS))  # its problems come before all else
    force, really = bool(options.get("force")), bool(options.get("really"))
    binder = Binder()
    binder.refuse(picked, force, really, config.mem)
    if options.get("dry_run"):
        return dry_run(binder, picked, words)
    with _signals_held() as mask:
        # Who may open what is bound need not be one who may bind.
        ready = all(for_vfio(one) for one in picked)
        bound = [] if ready else binder.bind(picked, force, really, temporary=True)
        try:
            return _boot(words, mask)
        finally:
            binder.release([one.address for one in picked], bound)


def boot_words(picked: Sequence[Function], words: Sequence[str]) -> list[str]:
    """What `vmm boot` is given: the devices come first, as kernel words may come last."""
    devices = [word for one in picked for word in ("--device", f"vfio,host={one.address}")]
    return [*devices, *words]


def dry_run(binder: Binder, picked: Sequence[Function], words: Sequence[str]) -> int:
    import shlex

    for step in binder.plan(picked):
        print(step.command)
    print(shlex.join(["vmm", "boot", *words]))
    taken = [one.address for one in picked if binder.plan([one])]
    if taken:
        print(shlex.join(["vmm", "vfio", "restore", *taken]))
    return EXIT_OK


@contextmanager
def _signals_held() -> Iterator[set[Any]]:
    """Signals wait until all is given back, but for those that _boot() takes.

    Yields the signals that were blocked before.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*TOLD, signal.SIGCHLD))
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _boot(words: Sequence[str], mask: set[Any]) -> int:
    """The exit code of `vmm boot`. A signal for this process is one for the guest's.

    One that came while functions were taken ends the command before there is a guest.
    """
    if signal.sigtimedwait(TOLD, 0) is not None:
        return EXIT_SIGNAL
    command = vmm_command("boot", *words)
    process = os.posix_spawn(
        command[0], command, os.environ, setsigmask=mask, setsigdef=(signal.SIGPIPE,)
    )
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        came = signal.sigwaitinfo((*TOLD, signal.SIGCHLD))
        typed = came.si_signo in FROM_TERMINAL and came.si_code == SI_KERNEL
        if came.si_signo != signal.SIGCHLD and not typed:
            os.kill(process, came.si_signo)
