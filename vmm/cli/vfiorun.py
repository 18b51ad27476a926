"""`vmm vfio run`: functions taken from the host, a guest with them, and given back, in one command.

The guest runs in a process of its own: whatever happens to that, the functions go back.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import click

from vmm.argv import scan
from vmm.cli.generate import TableCommand
from vmm.config import VmConfig
from vmm.errors import EXIT_OK
from vmm.options import BOOT_OPTIONS
from vmm.vfio.bind import Binder
from vmm.vfio.sysfs import Function

RUN = """Boot a guest with the functions at ADDRESS; give them back to the host when it has ended.

What follows -- are options of `vmm boot`. The functions are checked and bound first, as `vmm vfio
bind` does it; the exit code is that of `vmm boot`. If this command is killed, `vmm vfio restore`
gives back what it took.
"""
FORWARDED = (signal.SIGTERM, signal.SIGHUP)


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
    bound = binder.bind(picked, force, really)
    try:
        return _boot(words)
    finally:
        binder.restore(bound)


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


def _boot(words: Sequence[str]) -> int:
    """The exit code of `vmm boot`. A signal for this process is one for the guest's."""
    process = subprocess.Popen([sys.executable, "-m", "vmm", "boot", *words])
    kept: dict[int, Any] = {
        number: signal.signal(number, lambda n, _frame: process.send_signal(n))
        for number in FORWARDED
    }
    kept[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells both
    try:
        code = process.wait()
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code
