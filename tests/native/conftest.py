"""Fixtures that several files share; each lives in its rig's module."""

from __future__ import annotations

from tests.native.virtiorig import pin_rig

__all__ = ["pin_rig"]
