"""Click's tree of commands. Only help, completion and the commands other than `boot` come here."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import cast

import click

from vmm.errors import EXIT_SIGNAL, EXIT_USAGE
from vmm.record import Record


class Entry(Record):
    """Where a command lives; its module is imported when it is asked for."""

    module: str
    attribute: str
    help: str


COMMANDS: dict[str, Entry] = {
    "boot": Entry(
        module="vmm.cli.bootcommand",
        attribute="command",
        help="Boot a kernel in a virtual machine.",
    ),
    "doctor": Entry(
        module="vmm.cli.doctor", attribute="command", help="Show what this host offers and lacks."
    ),
    "plot": Entry(
        module="vmm.cli.plot", attribute="command", help="Draw an exit report as a picture."
    ),
    "stats": Entry(
        module="vmm.cli.stats", attribute="command", help="Show a running machine's counters."
    ),
    "vfio": Entry(
        module="vmm.cli.vfio", attribute="command", help="Hand PCI functions over, and take back."
    ),
    "xenstore": Entry(
        module="vmm.cli.xenstore", attribute="command", help="See and change a domain's xenstore."
    ),
    "lab": Entry(
        module="vmm.cli.lab", attribute="command", help="Run a command where KVM is, on any host."
    ),
    "completion": Entry(
        module="vmm.cli.completion", attribute="command", help="Print a shell's completion script."
    ),
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        return cast(click.Command, getattr(import_module(entry.module), entry.attribute))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS:
            from vmm.argv import nearest

            raise click.UsageError(f"there is no command {args[0]}{nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def tree() -> click.Group:
    """The command `vmm` with everything below it."""
    group = LazyGroup(
        "vmm",
        help="Virtual machines for x86-64 Linux. `vmm COMMAND --help` explains a command.",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        no_args_is_help=False,
        invoke_without_command=True,
        callback=_without_command,
    )
    group.params += [
        click.Option(
            ["--version"], is_flag=True, help="Print the version and stop.", default=False
        ),
        click.Option(["--debug"], is_flag=True, help="Show tracebacks of errors.", default=False),
    ]
    return group


@click.pass_context
def _without_command(ctx: click.Context, version: bool, debug: bool) -> None:
    """`debug` is read by vmm.__main__, which must know it whatever happens here."""
    if version:
        from vmm import __version__

        click.echo(f"vmm {__version__}")
        ctx.exit(0)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        ctx.exit(0)


def run(argv: Sequence[str]) -> int:
    """Runs `argv` through click; usage errors become sentences."""
    from vmm.sentences import say

    try:
        code = tree().main(list(argv), prog_name="vmm", standalone_mode=False)
    except click.ClickException as error:
        say(error.format_message())
        return EXIT_USAGE
    except click.Abort:
        say("interrupted")
        return EXIT_SIGNAL
    return code if isinstance(code, int) else 0
