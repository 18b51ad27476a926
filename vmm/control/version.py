"""The version of this program as a triple, as QMP's greeting wants it."""

from __future__ import annotations

from vmm import __version__


def numbers() -> tuple[int, int, int]:
    parts = [int("".join(filter(str.isdigit, part)) or 0) for part in __version__.split(".")]
    major, minor, micro = (*parts, 0, 0, 0)[:3]
    return major, minor, micro
