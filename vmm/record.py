"""Immutable keyword-only records: the shape of a frozen dataclass without its import cost.

`dataclasses` pulls in `inspect`, `re` and `ast`, which together cost more than the rest of a VM's
start-up (docs/decisions/0002-records.md). A `Record` subclass declares annotated class attributes;
the constructor takes them by keyword, fills defaults, refuses unknown or missing names, and nothing
can be assigned afterwards. Type checkers see it as a frozen, keyword-only dataclass.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, TypeVar, dataclass_transform

    R = TypeVar("R", bound="Record")
else:

    def dataclass_transform(**_options: object):
        return lambda cls: cls


@dataclass_transform(kw_only_default=True, frozen_default=True, eq_default=True)
class Record:
    """Base of all records. Fields are the annotations of the class and of its bases, in order."""

    _fields: ClassVar[tuple[str, ...]] = ()
    _names: ClassVar[frozenset[str]] = frozenset()
    _defaults: ClassVar[dict[str, object]] = {}

    def __init_subclass__(cls) -> None:
        own = cls.__dict__.get("__annotations__", {})  # noqa: RUF063 - `inspect` is heavy
        names = [name for name, kind in own.items() if not kind.startswith("ClassVar")]
        cls._fields = tuple(dict.fromkeys((*cls._fields, *names)))
        cls._names = frozenset(cls._fields)
        cls._defaults = {
            **cls._defaults,
            **{name: cls.__dict__[name] for name in names if name in cls.__dict__},
        }

    def __init__(self, **values: Any) -> None:
        cls, own = type(self), self.__dict__
        own.update(cls._defaults)
        own.update(values)
        if own.keys() != cls._names:
            unknown = ", ".join(sorted(own.keys() - cls._names))
            if unknown:
                raise TypeError(f"{cls.__name__} has no field {unknown}")
            missing = ", ".join(name for name in cls._fields if name not in own)
            raise TypeError(f"{cls.__name__} needs the field {missing}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    __delattr__ = None  # type: ignore[assignment]

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self._fields)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        body = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._fields)
        return f"{type(self).__name__}({body})"


def as_dict(record: Record) -> dict[str, object]:
    """The record's fields by name, in declaration order (not recursive)."""
    return {name: getattr(record, name) for name in record._fields}


def replace(record: R, **changes: object) -> R:
    """A copy of `record` with some fields changed."""
    return type(record)(**{**as_dict(record), **changes})
