"""Unit tests need neither KVM nor root."""

from __future__ import annotations

from hypothesis import settings

from tests.fakemachine import machine

__all__ = ["machine"]

# No deadline: time is never a verdict. No database: nothing is written beside the tests.
settings.register_profile("vmm", deadline=None, database=None, derandomize=True)
settings.load_profile("vmm")
