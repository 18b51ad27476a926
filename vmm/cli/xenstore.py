"""`vmm xenstore`: the store of a running Xen domain, seen and changed from outside."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from vmm.cli.generate import table_command
from vmm.control.client import ControlClient
from vmm.errors import EXIT_OK, ConfigError
from vmm.options import options_of

LS = """Show a node's children, or with --recursive all that is below it.

A line has the path, the value in quotes and who may use it: the owner with what everybody else may
(n none, r read, w write, b both), then exceptions.
"""
READ = "Print a node's value."
WRITE = "Write a node, which is made if there is none."
RM = "Remove a node and all below it."
WATCH = "Print the path of each change at a node or below it, until the machine or you end it."


def show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _client(options: dict[str, Any]) -> ControlClient:
    if not options.get("state_dir"):
        raise ConfigError("say which machine: --state-dir DIR, the directory it was started with")
    return ControlClient(options["state_dir"])


def _rows(client: ControlClient, path: str, deep: bool) -> list[dict[str, Any]]:
    found = []
    for row in client.execute("xenstore-list", path=path)["children"]:
        whole = f"{'' if path == '/' else path}/{row['name']}"
        found.append({"path": whole, "value": row["value"], "perms": row["perms"]})
        if deep and row["children"]:
            found += _rows(client, whole, deep)
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
    show(f"{json.dumps(value) if options.get('json') else value}\n")


def write(client: ControlClient, options: dict[str, Any]) -> None:
    client.execute("xenstore-write", path=options["path"], value=options["value"])


def rm(client: ControlClient, options: dict[str, Any]) -> None:
    client.execute("xenstore-rm", path=options["path"])


def watch(client: ControlClient, options: dict[str, Any]) -> None:
    path = options["path"]
    client.execute("xenstore-watch", path=path)
    try:
        for event in client.events():
            if event["event"] == "XENSTORE_WATCH" and event["data"]["watch"] == path:
                show(f"{event['data']['path']}\n")
    except KeyboardInterrupt:
        client.execute("xenstore-unwatch", path=path)


def _run(act: Callable[[ControlClient, dict[str, Any]], None]) -> Callable[[dict[str, Any]], int]:
    def run(options: dict[str, Any]) -> int:
        client = _client(options)
        try:
            act(client, options)
        finally:
            client.close()
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
