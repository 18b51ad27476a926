"""Counter snapshots for people and for programs.

A snapshot is what `Machine.stats()` returns: numbers in dictionaries and lists, nested as deep as
they need to be. The table names each counter by its path (`vcpu.0.exits.IO`), a heading per first
part, and leaves out counters that are zero.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

ACCESS = {"space", "address", "count"}  # keys of a row in a histogram of accesses


def flatten(snapshot: Any, path: str = "") -> Iterator[tuple[str, object]]:
    """(path, value) of every leaf, in the snapshot's order."""
    if isinstance(snapshot, dict):
        items = [(str(key), value) for key, value in snapshot.items()]
    elif isinstance(snapshot, list | tuple):
        items = [(str(index), value) for index, value in enumerate(snapshot)]
    else:
        yield path, snapshot
        return
    for key, value in items:
        yield from flatten(value, f"{path}.{key}" if path else key)


def as_table(snapshot: Mapping[str, Any]) -> str:
    """The snapshot as aligned text, a block for each first key."""
    blocks: list[str] = []
    for heading, part in snapshot.items():
        rows = [(name or "total", _number(value)) for name, value in flatten(_named(part)) if value]
        if not rows:
            continue
        names, numbers = (max(len(row[column]) for row in rows) for column in (0, 1))
        lines = [f"  {name:<{names}}  {number:>{numbers}}" for name, number in rows]
        blocks.append("\n".join([str(heading), *lines]))
    return "\n".join(blocks)


def _named(part: Any) -> Any:
    """Lists of accesses become a counter for each: {"pio-read 0x3fd": 23}."""
    if isinstance(part, dict):
        return {key: _named(value) for key, value in part.items()}
    if not isinstance(part, list):
        return part
    if part and all(isinstance(row, dict) and row.keys() == ACCESS for row in part):
        return {_access(row): row["count"] for row in part}
    return [_named(item) for item in part]


def _access(row: dict[str, Any]) -> str:
    return row["space"] if row["space"] == "other" else f"{row['space']} {row['address']:#x}"


def _number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def as_json(snapshot: Mapping[str, Any]) -> str:
    """The snapshot as one line of JSON."""
    import json

    return json.dumps(snapshot, default=str)


def difference(now: Any, before: Any) -> Any:
    """`now - before` for every number in both, of the same shape as `now`."""
    if isinstance(now, dict):
        earlier = before if isinstance(before, dict) else {}
        return {key: difference(value, earlier.get(key)) for key, value in now.items()}
    if isinstance(now, list):
        longer = [*(before if isinstance(before, list) else []), *[None] * len(now)]
        return [difference(value, longer[index]) for index, value in enumerate(now)]
    numbers = isinstance(now, int | float) and isinstance(before, int | float)
    return now - before if numbers and not isinstance(now, bool) else now
