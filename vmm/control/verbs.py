"""What the control socket understands: one table, a row for each command.

A new command is a function here (or in its own module) and a row in `VERBS`. Names with a hyphen
or an underscore are QMP's own; the others are ours. One name differs in meaning from QEMU's:
`stop` ends the machine; what QEMU calls `stop` is `pause`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vmm.control import xenverbs
from vmm.errors import StateError
from vmm.record import Record

if TYPE_CHECKING:
    from vmm.control.events import EventLog
    from vmm.machine import Machine

Arguments = dict[str, Any]


class Target(Record):
    """What commands act on. `watching`: nodes of xenstore, as often as this connection does."""

    machine: Machine
    events: EventLog
    version: tuple[int, int, int]
    watching: list[str]


class Argument(Record):
    name: str
    kind: type
    help: str
    required: bool = False


class Verb(Record):
    """`run(target, arguments)` returns what goes out as "return"; None goes out as {}."""

    name: str
    run: Callable[[Target, Arguments], object]
    help: str
    arguments: tuple[Argument, ...] = ()


class ArgumentError(Exception):
    """Arguments that a command does not take, or that have the wrong type."""


def call(verb: Verb, target: Target, arguments: object) -> object:
    """Runs `verb` after checking `arguments` against its row."""
    if not isinstance(arguments, dict):
        raise ArgumentError(f"{verb.name}: arguments must be a JSON object")
    known = {argument.name: argument for argument in verb.arguments}
    for name, value in arguments.items():
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise ArgumentError(f"{verb.name} has no argument {name!r}; {takes}")
        kind = known[name].kind
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ArgumentError(f"{verb.name}: {name} must be of type {kind.__name__}")
    for argument in verb.arguments:
        if argument.required and argument.name not in arguments:
            raise ArgumentError(f"{verb.name} needs the argument {argument.name!r}")
    result = verb.run(target, arguments)
    return {} if result is None else result


def _pause(target: Target, _arguments: Arguments) -> None:
    target.machine.pause()


def _resume(target: Target, _arguments: Arguments) -> None:
    target.machine.resume()


def _stop(target: Target, arguments: Arguments) -> None:
    target.machine.stop(reason=arguments.get("reason", "control socket"))


def _reset(target: Target, _arguments: Arguments) -> None:
    target.machine.reset()


def _power_button(target: Target, _arguments: Arguments) -> None:
    target.machine.power_button()


def _attach_device(target: Target, arguments: Arguments) -> object:
    return target.machine.attach_device(arguments["device"])


def _detach_device(target: Target, arguments: Arguments) -> None:
    target.machine.detach_device(arguments["id"])


def _resize_disk(target: Target, arguments: Arguments) -> object:
    return {"bytes": target.machine.resize_disk(arguments["id"])}


def _add_port(target: Target, arguments: Arguments) -> object:
    return target.machine.ports.add(arguments["port"])


def _remove_port(target: Target, arguments: Arguments) -> None:
    target.machine.ports.remove(arguments["name"])


def _swap_port(target: Target, arguments: Arguments) -> object:
    return target.machine.ports.swap(arguments["name"], arguments["end"])


def _query_ports(target: Target, _arguments: Arguments) -> object:
    return target.machine.ports.info()


def _read_port(target: Target, arguments: Arguments) -> object:
    data = target.machine.ports.read(arguments["name"], arguments.get("bytes", 1 << 16))
    return {"data": b64encode(data).decode()}


def _write_port(target: Target, arguments: Arguments) -> object:
    try:
        data = b64decode(arguments["data"], validate=True)
    except ValueError:
        raise ArgumentError("write-port: data must be base64") from None
    return {"bytes": target.machine.ports.write(arguments["name"], data)}


def _stats(target: Target, _arguments: Arguments) -> object:
    return target.machine.stats()


def _info(target: Target, _arguments: Arguments) -> object:
    return target.machine.info()


def _events(target: Target, arguments: Arguments) -> object:
    return target.events.since(arguments.get("since", 0))


def _version(target: Target, _arguments: Arguments) -> object:
    return version(target.version)


def _status(target: Target, _arguments: Arguments) -> object:
    state = str(target.machine.state)
    names = {"new": "prelaunch", "ready": "prelaunch", "stopped": "shutdown"}
    return {"status": names.get(state, state), "running": state == "running"}


def _commands(_target: Target, _arguments: Arguments) -> object:
    return [
        {
            "name": verb.name,
            "help": verb.help,
            "arguments": [
                {"name": a.name, "type": a.kind.__name__, "required": a.required, "help": a.help}
                for a in verb.arguments
            ],
        }
        for verb in VERBS.values()
    ]


def _capabilities(_target: Target, _arguments: Arguments) -> None:
    raise StateError("capabilities are negotiated already")


def version(numbers: tuple[int, int, int]) -> dict[str, object]:
    """QMP's version object. Its clients look for the key `qemu`; `package` says who we are."""
    major, minor, micro = numbers
    return {
        "qemu": {"major": major, "minor": minor, "micro": micro},
        "package": f"vmm {major}.{minor}.{micro}",
    }


PATH = Argument(name="path", kind=str, required=True, help="From the root on.")
PORT = Argument(name="name", kind=str, required=True, help="Its name, or hvc0, port3 ...")
# fmt: off
_ROWS = (
    Verb(name="qmp_capabilities", run=_capabilities, help="End the negotiation; comes first.",
         arguments=(Argument(name="enable", kind=list, help="Capabilities to use: none exist."),)),
    Verb(name="pause", run=_pause, help="Stop all vCPUs until resume."),
    Verb(name="resume", run=_resume, help="Let paused vCPUs run."),
    Verb(name="cont", run=_resume, help="QMP's name for resume."),
    Verb(name="stop", run=_stop, help="End the machine without asking the guest.",
         arguments=(Argument(name="reason", kind=str, help="Goes into the exit report."),)),
    Verb(name="quit", run=_stop, help="QMP's name for stop."),
    Verb(name="reset", run=_reset, help="Restart the machine in place."),
    Verb(name="system_reset", run=_reset, help="QMP's name for reset."),
    Verb(name="system_powerdown", run=_power_button, help="Press the power button."),
    Verb(name="attach-device", run=_attach_device, help="Add a PCI device and tell the guest.",
         arguments=(Argument(name="device", kind=str, required=True,
                             help="NAME[,KEY=VALUE...] as for --device."),)),
    Verb(name="detach-device", run=_detach_device,
         help="Ask the guest to let go of a device; DEVICE_DELETED tells when it is gone.",
         arguments=(Argument(name="id", kind=str, required=True, help="Its name."),)),
    Verb(name="device_del", run=_detach_device, help="QMP's name for detach-device.",
         arguments=(Argument(name="id", kind=str, required=True, help="Its name."),)),
    Verb(name="resize-disk", run=_resize_disk, help="Tell the guest how large an image is by now.",
         arguments=(Argument(name="id", kind=str, required=True, help="The disk's name."),)),
    Verb(name="add-port", run=_add_port, help="Add a port to a virtio console; tell the guest.",
         arguments=(Argument(name="port", kind=str, required=True, help="As for --port."),)),
    Verb(name="remove-port", run=_remove_port, help="Take a port away from the guest.",
         arguments=(PORT,)),
    Verb(name="swap-port", run=_swap_port, help="Give a live port another end on the host.",
         arguments=(PORT, Argument(name="end", kind=str, required=True,
                                   help="socket=PATH, pty ..., as for --port."))),
    Verb(name="query-ports", run=_query_ports, help="Every port, and who has it open."),
    Verb(name="read-port", run=_read_port, help="Take what the guest wrote to a ring, in base64.",
         arguments=(PORT, Argument(name="bytes", kind=int, help="At most so many; 65536."))),
    Verb(name="write-port", run=_write_port, help="Input for a port whose end is a ring.",
         arguments=(PORT, Argument(name="data", kind=str, required=True, help="In base64."))),
    Verb(name="xenstore-read", run=xenverbs.read, help="A node's value.", arguments=(PATH,)),
    Verb(name="xenstore-list", run=xenverbs.listing, help="A node's children, with their values.",
         arguments=(Argument(name="path", kind=str, help="The root, if not given."),)),
    Verb(name="xenstore-write", run=xenverbs.write, help="Write a node, new or not.",
         arguments=(PATH, Argument(name="value", kind=str, required=True,
                                   help="Characters that stand for bytes."))),
    Verb(name="xenstore-rm", run=xenverbs.remove, help="Remove a node.", arguments=(PATH,)),
    Verb(name="xenstore-watch", run=xenverbs.watch,
         help="XENSTORE_WATCH tells of each change while the connection lasts.",
         arguments=(PATH,)),
    Verb(name="xenstore-unwatch", run=xenverbs.unwatch,
         help="Ends one xenstore-watch of this connection.",
         arguments=(PATH,)),
    Verb(name="stats", run=_stats, help="Counters, as --stats prints them."),
    Verb(name="info", run=_info, help="What the machine is made of."),
    Verb(name="events", run=_events, help="Events of the past, oldest first.",
         arguments=(Argument(name="since", kind=int, help="Only those with a higher seq."),)),
    Verb(name="query-version", run=_version, help="Version of this program."),
    Verb(name="query-status", run=_status, help="Whether the machine runs."),
    Verb(name="query-commands", run=_commands, help="This table."),
)
# fmt: on
VERBS: dict[str, Verb] = {verb.name: verb for verb in _ROWS}
