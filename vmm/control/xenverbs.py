"""The control socket's commands on xenstore: as domain 0, beside the guest."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from vmm.errors import StateError

if TYPE_CHECKING:
    from vmm.control.verbs import Target
    from vmm.xen.xenstore import XenStore

Arguments = dict[str, Any]


def _service(target: Target) -> XenStore:
    target.machine.need("look into xenstore of", "ready", "running", "paused")
    domain = target.machine.hardware.xen
    if domain is None:
        raise StateError("this machine is no Xen domain; start it with --xen")
    return domain.services.xenstore


def read(target: Target, arguments: Arguments) -> object:
    return {"value": _text(_service(target).outside_read(arguments["path"]).value)}


def _text(value: bytes) -> str:
    """Bytes as characters of the same numbers, as the store does not say what they mean."""
    return value.decode("latin-1")


def listing(target: Target, arguments: Arguments) -> object:
    """Each child with its value, who may use it, and how many children it has."""
    from vmm.xen.storetree import StoreError, child_of
    from vmm.xen.xswire import write_perms

    service, path = _service(target), arguments.get("path", "/")
    rows: list[dict[str, object]] = []
    for name in service.outside_read(path).children:
        try:
            child = service.store.node(service.outside, child_of(path, name))
        except StoreError:  # gone meanwhile
            continue
        perms = write_perms(child.perms)
        rows.append(
            {"name": name, "value": _text(child.value), "perms": perms,
             "children": len(child.children)}
        )  # fmt: skip
    return {"children": rows}


def write(target: Target, arguments: Arguments) -> None:
    try:
        value = arguments["value"].encode("latin-1")
    except UnicodeEncodeError:
        raise StateError("a value's characters stand for bytes, so none is above 255") from None
    _service(target).outside_write(arguments["path"], value)


def remove(target: Target, arguments: Arguments) -> None:
    _service(target).outside_write(arguments["path"], None)


def watch(target: Target, arguments: Arguments) -> None:
    """Until xenstore-unwatch, or the connection ends."""
    path = arguments["path"]
    _service(target).outside_watch(path, on=True)
    target.watching.append(path)


def unwatch(target: Target, arguments: Arguments) -> None:
    path = arguments["path"]
    service = _service(target)
    if path not in target.watching:
        raise StateError(f"this connection does not watch {path}")
    target.watching.remove(path)
    service.outside_watch(path, on=False)


def leave(target: Target) -> None:
    """The connection has ended: nobody is there who could end its watches."""
    paths = target.watching.copy()
    target.watching.clear()
    for path in paths:
        with suppress(StateError):  # of a machine that has stopped
            _service(target).outside_watch(path, on=False)
