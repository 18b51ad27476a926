"""All tests: where they run is decided by tests/where.py."""

from __future__ import annotations

import signal

pytest_plugins = ["tests.where", "vmm.vfio.fixture"]


def pytest_configure() -> None:
    """Signals that tests send must arrive, or what waits for them never ends.

    nohup(1) has hangups ignored, and a shell the others, for what it runs in the background.
    """
    handlers = {
        signal.SIGHUP: lambda _number, _frame: None,
        signal.SIGINT: signal.default_int_handler,
        signal.SIGQUIT: lambda _number, _frame: None,
    }
    for number, handler in handlers.items():
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)
