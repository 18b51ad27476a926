"""`vmm vfio`: the host's PCI functions, what stands against using one, binding and giving back."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from vmm.cli.generate import table_command
from vmm.cli.vfiodevice import INFO, RESET, info_functions, reset_functions
from vmm.cli.vfiorun import RUN, RunCommand, run_guest
from vmm.cli.vfiotext import as_dictionary, as_tree, reasons_text
from vmm.errors import EXIT_HOST, EXIT_OK, HostError
from vmm.options import options_of
from vmm.record import as_dict
from vmm.vfio.bind import Binder
from vmm.vfio.check import NOTE, check
from vmm.vfio.journal import Journal
from vmm.vfio.steps import Step
from vmm.vfio.sysfs import VFIO_PCI, Function, full_address, function, functions

LIST = """Show the host's PCI functions by IOMMU group.

A group is what the IOMMU cannot keep apart: all its functions go to one user, or none does.
"""
CHECK = """Tell every reason why the functions at ADDRESS could not be used, and what mends it.

Exit code 0: they can be used (`vmm vfio bind` does what is left). 4: they cannot.
"""
BIND = """Bind the functions at ADDRESS to vfio-pci, all of them or none.

What they were bound to is written down first: `vmm vfio restore` gives them back, also after a
crash. Functions in use are refused, and the host's root disk and last network link twice over.
"""
RESTORE = """Give functions back to the drivers they were taken from; without ADDRESS, all of them.
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


def bind_functions(options: dict[str, Any]) -> int:
    picked, binder = chosen(options), Binder()
    force, really = bool(options.get("force")), bool(options.get("really"))
    if options.get("dry_run"):
        binder.refuse(picked, force, really)
        return _dry(options, binder.plan(picked))
    done = binder.bind(picked, force, really)
    if options.get("json"):
        show_json({"bound": done})
    else:
        show("".join(_bound(one, one.address in done) for one in picked))
    return EXIT_OK


def _bound(one: Function, now: bool) -> str:
    if not now:
        return f"{one.address}: bound to {VFIO_PCI} already\n"
    return f"{one.address}: {one.driver or 'no driver'} -> {VFIO_PCI}\n"


def restore_functions(options: dict[str, Any]) -> int:
    addresses = [full_address(text) for text in options.get("addresses", ())]
    if options.get("dry_run"):
        return _dry_restore(options, dict.fromkeys(addresses) or Journal().addresses())
    done = Binder().restore(addresses)
    if options.get("json"):
        show_json({"restored": done})
    else:
        show("".join(f"{name}: given back\n" for name in done) or "Nothing was taken.\n")
    return EXIT_OK


def _dry_restore(options: dict[str, Any], addresses: Iterable[str]) -> int:
    """The steps of those that would be given back, then a HostError that tells of the others."""
    steps: list[Step] = []
    problems: list[str] = []
    for address in addresses:
        try:
            steps += Binder().restore_plan(address, Journal())
        except HostError as error:
            problems.append(str(error))
    _dry(options, steps)
    if problems:
        raise HostError("; ".join(problems))
    return EXIT_OK


def _dry(options: dict[str, Any], steps: Sequence[Step]) -> int:
    if options.get("json"):
        show_json({"steps": [as_dict(step) for step in steps]})
    else:
        show("".join(f"{step.command}\n" for step in steps))
    return EXIT_OK


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
for name, run, text in (
    ("check", check_functions, CHECK),
    ("bind", bind_functions, BIND),
    ("restore", restore_functions, RESTORE),
    ("info", info_functions, INFO),
    ("reset", reset_functions, RESET),
):
    arguments = _addresses(required=name != "restore")
    rows = options_of("vfio", name)
    command.add_command(table_command(name, rows, run, text, arguments=arguments))
command.add_command(
    table_command(
        "run",
        options_of("vfio", "run"),
        lambda options: run_guest(options, chosen(options)),
        RUN,
        RunCommand,
        arguments=_addresses(required=True),
    )
)
