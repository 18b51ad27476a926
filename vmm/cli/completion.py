"""`vmm completion SHELL`: the script that teaches a shell the table of options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


def script(shell: str) -> str:
    """The completion script for `shell`, which asks `vmm` itself at each TAB."""
    from vmm.cli.main import tree

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}; there is {', '.join(SHELLS)}")
    return kind(tree(), {}, "vmm", "_VMM_COMPLETE").source()


@click.command(
    "completion",
    help='Print a completion script, as in: eval "$(vmm completion bash)"',
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    click.echo(script(shell))
