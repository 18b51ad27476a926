"""Fixtures that several files share; each lives in its rig's module."""

from __future__ import annotations

from tests.native.blkrig import image
from tests.native.vconrig import make_rig
from tests.native.vhostrig import card
from tests.native.virtiorig import pin_rig

__all__ = ["card", "image", "make_rig", "pin_rig"]
