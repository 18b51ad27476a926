"""The version of this program, read from its installed metadata when somebody asks."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def text() -> str:
    """Such as "1.2.3"; "0.0.0" when run from a tree that is not installed."""
    try:
        return version("vmm")
    except PackageNotFoundError:
        return "0.0.0"


def numbers() -> tuple[int, int, int]:
    parts = [int("".join(filter(str.isdigit, part)) or 0) for part in text().split(".")]
    major, minor, micro = (*parts, 0, 0, 0)[:3]
    return major, minor, micro
