"""KVM's structures as plain Python values and back: dicts, lists and ints by uapi field name.

The field lists are those of the cdef, so padding and reserved fields stay out. Going back, every
field must be there, none may be unknown, and each value must fit its field: StateError says which
does not.
"""

from __future__ import annotations

from vmm.errors import StateError
from vmm.native import ffi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def dump(value: Any) -> dict[str, Any]:
    """The fields of a structure (or of what a structure pointer points to)."""
    kind = ffi.typeof(value)
    kind = kind.item if kind.kind == "pointer" else kind
    return {name: _dump_field(getattr(value, name), field.type) for name, field in kind.fields}


def _dump_field(value: Any, kind: Any) -> Any:
    if kind.kind == "primitive":
        return int(value)
    if kind.kind == "array":
        return [_dump_field(item, kind.item) for item in value]
    return dump(value)


def fill(target: Any, saved: object, what: str) -> None:
    """Writes `saved` into a structure pointer. `what` names it in StateError's sentence."""
    kind = ffi.typeof(target)
    kind = kind.item if kind.kind == "pointer" else kind
    known = {name for name, _ in kind.fields}
    if not isinstance(saved, dict) or saved.keys() != known:
        raise StateError(f"The saved {what} does not hold exactly {', '.join(sorted(known))}")
    for name, field in kind.fields:
        _fill_field(target, name, field.type, saved[name], f"{what}.{name}")


def _fill_field(target: Any, key: str | int, kind: Any, saved: Any, what: str) -> None:
    if kind.kind == "struct":
        fill(getattr(target, str(key)) if isinstance(key, str) else target[key], saved, what)
        return
    if kind.kind == "array":
        if not isinstance(saved, list) or len(saved) != kind.length:
            raise StateError(f"The saved {what} is not a list of {kind.length}")
        items = getattr(target, str(key))
        for index, item in enumerate(saved):
            _fill_field(items, index, kind.item, item, f"{what}[{index}]")
        return
    try:
        if type(saved) is not int:
            raise TypeError
        if isinstance(key, str):
            setattr(target, key, saved)
        else:
            target[key] = saved
    except (OverflowError, TypeError):
        raise StateError(f"The saved {what} cannot be {saved!r}") from None


def header(saved: object, version: int, keys: set[str], what: str) -> dict[str, Any]:
    """Checks the outermost level: a dict of this `version` with exactly `keys` beside it."""
    if not isinstance(saved, dict) or saved.get("version") != version:
        found = saved.get("version") if isinstance(saved, dict) else saved
        raise StateError(f"The saved {what} has version {found!r}; this program reads {version}")
    if saved.keys() != keys | {"version"}:
        raise StateError(f"The saved {what} does not hold exactly {', '.join(sorted(keys))}")
    return saved


def blob(saved: object, sizes: range, what: str) -> bytes:
    """Bytes from hexadecimal text; their count must be in `sizes`."""
    try:
        data = bytes.fromhex(saved)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise StateError(f"The saved {what} is not hexadecimal text") from None
    if len(data) not in sizes:
        raise StateError(f"The saved {what} has an impossible length, {len(data)} bytes")
    return data


def number(saved: object, limit: int, what: str) -> int:
    """An int from 0 to `limit`, `limit` included."""
    if type(saved) is not int or not 0 <= saved <= limit:
        raise StateError(f"The saved {what} cannot be {saved!r}")
    return saved
