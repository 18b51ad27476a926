"""Every function is with the host again after a test, whatever the test did."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.vfio.host import override
from tests.vfio.lab import FUNCTIONS
from vmm.vfio.bind import Binder
from vmm.vfio.journal import Journal


@pytest.fixture(autouse=True)
def given_back() -> Iterator[None]:
    yield
    left = Journal().addresses()
    Binder().restore()
    assert left == []
    assert [override(name) for name in FUNCTIONS] == [""] * len(FUNCTIONS)
