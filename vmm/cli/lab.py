"""`vmm lab run` and `vmm lab shell`: a machine with KVM, an IOMMU and vhost, on any host."""

from __future__ import annotations

from typing import Any

import click

from vmm.cli.generate import table_command
from vmm.lab import LabConfig, lab_run, lab_shell
from vmm.options import options_of

RUN = """Boot the lab, run COMMAND in it, and end with its exit code.

The lab is an emulated machine with nested virtualization and an IOMMU. It sees this host's files,
read-only with a scratch layer; what COMMAND writes below /out appears in the directory of --out.
"""
SHELL = """Boot the lab and give it this terminal.

COMMAND runs there instead of a shell if one is given. Ctrl-] typed three times leaves at once.
"""


def run(options: dict[str, Any]) -> int:
    return lab_run(LabConfig.from_values(options))


def shell(options: dict[str, Any]) -> int:
    return lab_shell(LabConfig.from_values(options))


@click.pass_context
def _help(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


command = click.Group(
    "lab",
    callback=_help,
    invoke_without_command=True,
    help="A machine with KVM, an IOMMU and vhost on any host: run a command in it, or a shell.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, function, text in (("run", run, RUN), ("shell", shell, SHELL)):
    command.add_command(
        table_command(
            name,
            options_of("lab"),
            function,
            text,
            words="COMMAND...",
            whose="the command's words",
        )
    )
