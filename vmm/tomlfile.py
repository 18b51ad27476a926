"""Configurations as TOML: the long options' names without the dashes in front are the keys.

Imported only where a file is read or written.
"""

from __future__ import annotations

from vmm.argv import nearest
from vmm.errors import ConfigError
from vmm.layout import MIB
from vmm.options import FIELDS, Option
from vmm.record import as_dict
from vmm.values import read, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from vmm.config import VmConfig


def read_file(path: str, problems: list[str]) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(MIB)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        problems.append(f"cannot read the configuration {path}: {reason}")
        return {}
    known = len(problems)
    values = read_toml(text, problems)
    problems[known:] = [f"{path}: {problem}" for problem in problems[known:]]
    return values


def read_toml(text: str, problems: list[str]) -> dict[str, Any]:
    """Fields set by a TOML text; what is wrong with it is added to `problems`."""
    import tomllib

    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        problems.append(f"not valid TOML: {error}")
        return {}
    keys = {option.toml: option for option in FIELDS.values()}
    values: dict[str, Any] = {}
    for key, value in table.items():
        option = keys.get(key)
        if option is None:
            problems.append(f"there is no key {key!r}{nearest(key, keys)}")
        else:
            _take(values, option, key, value, problems)
    return values


def read_keywords(values: Mapping[str, object], problems: list[str]) -> dict[str, Any]:
    """Fields set by Python keywords; what is wrong with them is added to `problems`."""
    taken: dict[str, Any] = {}
    for name, value in values.items():
        option = FIELDS.get(name)
        if option is None:
            problems.append(f"there is no field {name}{nearest(name, FIELDS)}")
        elif value is not None:
            _take(taken, option, name, _plain(option, value), problems)
    return taken


def _plain(option: Option, value: object) -> object:
    """A Python value as TOML would spell it: sizes and records become text."""
    if isinstance(value, list | tuple):
        return [_plain(option, item) for item in value]
    if isinstance(value, str | bool | float):
        return value
    return write(option, value)


def _take(
    values: dict[str, Any], option: Option, key: str, value: object, problems: list[str]
) -> None:
    """Puts one value into `values`, converted and of the right type, or adds a problem."""
    try:
        if option.repeat:
            items = value if isinstance(value, list) else [value]
            values[option.name] = tuple(_convert(option, item) for item in items)
        else:
            values[option.name] = _convert(option, value)
    except ValueError as error:
        problems.append(f"{key} {error}")


def _convert(option: Option, value: object) -> object:
    if option.kind == "flag":
        if isinstance(value, bool):
            return value
        raise ValueError(f"wants true or false, not {value!r}")
    if value == "" and option.kind in ("path", "text") and not option.repeat:
        return ""
    if isinstance(value, str):
        return read(option, value)
    if isinstance(value, dict) and option.kind == "device":
        from vmm.deviceconfig import device_of_table

        return device_of_table(value)
    if isinstance(value, dict) and option.kind == "disk":
        from vmm.deviceconfig import disk_of_table

        return disk_of_table(value)
    if isinstance(value, dict) and option.kind == "net":
        from vmm.netconfig import net_of_table

        return net_of_table(value)
    if isinstance(value, dict) and option.kind == "port":
        from vmm.portconfig import port_of_table

        return port_of_table(value)
    if isinstance(value, int) and not isinstance(value, bool) and option.kind in ("count", "size"):
        return read(option, str(value))
    if isinstance(value, int | float) and not isinstance(value, bool) and option.kind == "seconds":
        return float(value)
    raise ValueError(f"wants {option.metavar}, not {value!r}")


def write_toml(config: VmConfig) -> str:
    lines: list[str] = []
    group = ""
    values = as_dict(config)
    for option in FIELDS.values():
        if option.group != group:
            group = option.group
            lines.append(f"{chr(10) if lines else ''}# {group}\n")
        value = values[option.name]
        if value is None or (value in ("", ()) and not option.default):
            lines.append(f"# {option.toml} =\n")
        else:
            lines.append(f"{option.toml} = {_toml_value(option, value)}\n")
    return "".join(lines)


def _toml_value(option: Option, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml_value(option, item) for item in value) + "]"
    if option.kind in ("count", "seconds"):
        return str(value)
    return _toml_string(write(option, value))


def _toml_string(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{text!r} is not UTF-8, so it cannot be written as TOML") from None
    special = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    body = "".join(
        special.get(char) or (char if char >= " " and char != "\x7f" else f"\\u{ord(char):04x}")
        for char in text
    )
    return f'"{body}"'
