"""`vmm xenstore`: the store of a running Xen domain, seen and changed from outside."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import Any

import click

from vmm.cli.generate import table_command
from vmm.control.client import ControlClient, connect
from vmm.control.signals import Signals
from vmm.errors import EXIT_OK, StateError
from vmm.options import options_of

LS = """Show a node's children, or with --recursive all that is below it.

A line has the path, the value in quotes and who may use it: the owner with what everybody else may
(n none, r read, w write, b both), then exceptions.
"""
READ = "Print a node's value."
WRITE = "Write a node, which is made if there is none."
RM = "Remove a node and all below it."
WATCH = (
    "Print the path of each change at a node or below it, until the machine or a signal ends it."
)


def show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def show_bytes(value: bytes) -> None:
    """As they are, but to a terminal only what it prints: a guest may have written them."""
    if not sys.stdout.isatty():
        sys.stdout.flush()
        sys.stdout.buffer.write(value)
        return show("\n")
    text = value.decode(errors="backslashreplace")
    return show("".join(c if c.isprintable() else repr(c)[1:-1] for c in text) + "\n")


Row = dict[str, Any]


def _children(client: ControlClient, path: str) -> list[tuple[Row, int]]:
    """Each child, and how many it has itself; the last one first."""
    found = []
    for row in client.execute("xenstore-list", path=path)["children"]:
        whole = f"{'' if path == '/' else path}/{row['name']}"
        shown = {"path": whole, "value": row["value"], "perms": row["perms"]}
        found.append((shown, row["children"]))
    return found[::-1]


def _rows(client: ControlClient, path: str, deep: bool) -> list[Row]:
    """What is below a node follows it. How deep that goes is the guest's choice."""
    found, waiting = [], _children(client, path)
    while waiting:
        row, below = waiting.pop()
        found.append(row)
        if deep and below:
            with suppress(StateError):  # gone meanwhile
                waiting += _children(client, row["path"])
    return found


def ls(client: ControlClient, options: dict[str, Any]) -> None:
    rows = _rows(client, options.get("path") or "/", bool(options.get("recursive")))
    if options.get("json"):
        show(json.dumps(rows, indent=2) + "\n")
        return
    for row in rows:
        show(f"{row['path']} = {json.dumps(row['value'])}  ({','.join(row['perms'])})\n")


def read(client: ControlClient, options: dict[str, Any]) -> None:
    value = client.execute("xenstore-read", path=options["path"])["value"]
    if options.get("json"):
        show(json.dumps(value) + "\n")
    else:
        show_bytes(value.encode("latin-1"))  # see xenverbs


def write(client: ControlClient, options: dict[str, Any]) -> None:
    value = os.fsencode(options["value"]).decode("latin-1")  # as it was typed, byte for byte
    client.execute("xenstore-write", path=options["path"], value=value)


def rm(client: ControlClient, options: dict[str, Any]) -> None:
    client.execute("xenstore-rm", path=options["path"])


def watch(client: ControlClient, options: dict[str, Any]) -> None:
    path = options["path"]
    client.execute("xenstore-watch", path=path)  # ends with the connection
    for event in client.events():
        if event["event"] == "XENSTORE_WATCH" and event["data"]["watch"] == path:
            show(f"{event['data']['path']}\n")


def _run(act: Callable[[ControlClient, dict[str, Any]], None]) -> Callable[[dict[str, Any]], int]:
    def run(options: dict[str, Any]) -> int:
        with Signals(), closing(connect(options)) as client:
            act(client, options)
        return EXIT_OK

    return run


@click.pass_context
def _help(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _arguments(*names: str, required: bool = True) -> Sequence[click.Argument]:
    return [click.Argument([name], required=required, metavar=name.upper()) for name in names]


command = click.Group(
    "xenstore",
    callback=_help,
    invoke_without_command=True,
    help="Look into the xenstore of a running machine (vmm boot --xen --state-dir DIR), change it.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb, act, text, arguments in (
    ("ls", ls, LS, _arguments("path", required=False)),
    ("read", read, READ, _arguments("path")),
    ("write", write, WRITE, _arguments("path", "value")),
    ("rm", rm, RM, _arguments("path")),
    ("watch", watch, WATCH, _arguments("path")),
):
    rows = options_of("xenstore", verb)
    command.add_command(table_command(verb, rows, _run(act), text, arguments=arguments))
