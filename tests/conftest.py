"""All tests: where they run is decided by tests/where.py."""

from __future__ import annotations

import signal

pytest_plugins = ["tests.where", "vmm.vfio.fixture"]


def pytest_configure() -> None:
    """Under nohup(1) a hangup that a test sends would be lost, and what it waits for never come."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)  # not ignored, and harmless here
