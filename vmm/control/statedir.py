"""The state directory of one machine: config.toml, control.sock, report.json.

Only its owner may enter it, and only one process uses it at a time (a lock on the directory itself,
which the kernel drops however the process ends).
"""

from __future__ import annotations

import contextlib
import fcntl
import os

from vmm.errors import HostError
from vmm.host.files import write_atomically


class StateDir:
    """Made or reused at `path`, locked until `close`. Raises HostError with the reason."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            os.makedirs(path, mode=0o700, exist_ok=True)
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise HostError(f"cannot use the state directory {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            raise HostError(
                f"the state directory {path} is in use by another machine; choose another one"
            ) from error
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.report)  # an old report must not pass for this run's

    @property
    def config(self) -> str:
        return os.path.join(self.path, "config.toml")

    @property
    def socket(self) -> str:
        return os.path.join(self.path, "control.sock")

    @property
    def report(self) -> str:
        return os.path.join(self.path, "report.json")

    def write_config(self, toml: str) -> None:
        try:
            write_atomically(self.config, toml.encode())
        except OSError as error:
            raise HostError(f"cannot write {self.config}: {error.strerror}") from error

    def close(self) -> None:
        os.close(self._fd)
