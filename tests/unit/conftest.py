"""Unit tests need neither KVM nor root."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from tests import bootkit
from tests.bindkit import binder, kernel, tree
from tests.fakemachine import machine
from vmm.boot import BootConfig

__all__ = ["binder", "kernel", "machine", "tree"]

# No deadline: time is never a verdict. No database: nothing is written beside the tests.
settings.register_profile("vmm", deadline=None, database=None, derandomize=True)
settings.load_profile("vmm")


@pytest.fixture
def base(tmp_path: Path) -> BootConfig:
    """What most tests of booting begin with."""
    return bootkit.config(tmp_path)
