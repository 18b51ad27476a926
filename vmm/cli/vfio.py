"""`vmm vfio`: the host's PCI functions, what stands against using one, binding and giving back."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from vmm.cli.generate import table_command
from vmm.cli.vfiotext import as_dictionary, as_tree, reasons_text
from vmm.errors import EXIT_HOST, EXIT_OK
from vmm.options import options_of
from vmm.record import as_dict
from vmm.vfio.check import NOTE, check
from vmm.vfio.sysfs import Function, function, functions

LIST = """Show the host's PCI functions by IOMMU group.

A group is what the IOMMU cannot keep apart: all its functions go to one user, or none does.
"""
CHECK = """Tell every reason why the functions at ADDRESS could not be used, and what mends it.

Exit code 0: they can be used (`vmm vfio bind` does what is left). 4: they cannot.
"""
MEMORY = 512 << 20  # as the table says


def show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def show_json(value: object) -> None:
    show(json.dumps(value, indent=2) + "\n")


def chosen(options: dict[str, Any]) -> list[Function]:
    """The functions named on the command line; with --group, all of their groups. No doubles."""
    named = [function(address) for address in options["addresses"]]
    if options.get("group"):
        named = [function(member) for one in named for member in one.members]
        named = [one for one in named if not one.bridge]
    return list({one.address: one for one in named}.values())


def list_functions(options: dict[str, Any]) -> int:
    found = functions()
    if options.get("json"):
        show_json([as_dictionary(one) for one in found])
    else:
        show(as_tree(found))
    return EXIT_OK


def check_functions(options: dict[str, Any]) -> int:
    picked = chosen(options)
    taken = [one.address for one in picked]
    reasons = [
        reason
        for one in picked
        for reason in check(one, taken=taken, memory=options.get("mem", MEMORY))
    ]
    good = all(reason.level == NOTE for reason in reasons)
    if options.get("json"):
        show_json({"usable": good, "reasons": [as_dict(reason) for reason in reasons]})
    else:
        show(reasons_text(picked, reasons))
    return EXIT_OK if good else EXIT_HOST


@click.pass_context
def _help(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _addresses(required: bool) -> Sequence[click.Argument]:
    return [click.Argument(["addresses"], nargs=-1, required=required, metavar="ADDRESS...")]


command = click.Group(
    "vfio",
    callback=_help,
    invoke_without_command=True,
    help="Hand PCI functions to programs and guests through VFIO, and give them back to the host.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
command.add_command(table_command("list", options_of("vfio", "list"), list_functions, LIST))
for name, run, text in (("check", check_functions, CHECK),):
    rows = options_of("vfio", name)
    command.add_command(table_command(name, rows, run, text, arguments=_addresses(True)))
