"""What a function was bound to before it was taken, on disk: so that it can be given back later.

One file for each function, below /run: after a reboot the host has its drivers anyway.
"""

from __future__ import annotations

import os
import time

from vmm.errors import HostError
from vmm.host.files import write_atomically
from vmm.host.survey import at
from vmm.record import Record
from vmm.vfio.usage import holders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FOLDER = "/run/vmm/vfio"
VERSION = 1
PATIENCE = 60.0  # seconds for another process whose drivers are slow to let go


class Entry(Record):
    """The state to come back to. `driver` and `override` are "" where there was none.

    taker: the process that took it for as long as it runs; 0: it has ended while another one had
    the function, which gives it back. `None`: taken until somebody says otherwise.
    """

    address: str
    driver: str
    override: str
    taker: int | None = None


class Journal:
    """The entries of all functions taken and not yet given back. Locked while it is entered."""

    def __init__(self, root: str = "/", patience: float = PATIENCE) -> None:
        self.folder = at(root, FOLDER)
        self._root, self._patience = root, patience
        self._lock = -1

    def __enter__(self) -> Journal:
        path = f"{self.folder}/lock"
        try:
            # One at a time: the mode given to makedirs is not that of the folders on the way.
            for folder in (os.path.dirname(self.folder), self.folder):
                os.makedirs(folder, mode=0o755, exist_ok=True)
            # Whoever may open it may lock it, and keep everybody else waiting.
            self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise HostError(
                f"Writing down in {self.folder} what is changed failed: {error.strerror}; "
                "run the command with sudo"
            ) from error
        try:
            self._wait(path)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait(self, path: str) -> None:
        import fcntl

        end = time.monotonic() + self._patience
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError as error:
                if time.monotonic() >= end:
                    found = [f"process {one.pid} ({one.name})" for one in holders(path, self._root)]
                    who = ", ".join(found) or "a process that does not show"
                    raise HostError(
                        f"Locking {path} failed: another process kept it for {self._patience:g} s; "
                        f"wait for it or end it ({who} has the file open), then try again"
                    ) from error
            time.sleep(0.05)

    def __exit__(self, *_exception: object) -> None:
        import fcntl

        # A child that was left behind at a driver that never answers has the descriptor too.
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        os.close(self._lock)
        self._lock = -1

    def _path(self, address: str) -> str:
        return f"{self.folder}/{address}.json"

    def addresses(self) -> list[str]:
        try:
            names = os.listdir(self.folder)
        except OSError:
            return []
        return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))

    def add(self, entry: Entry) -> None:
        import json

        body = {
            "version": VERSION,
            "address": entry.address,
            "driver": entry.driver,
            "driver_override": entry.override,
            "taker": entry.taker,
        }
        try:
            write_atomically(self._path(entry.address), json.dumps(body).encode())
        except OSError as error:
            raise HostError(
                f"Writing {self._path(entry.address)} failed: {error.strerror}; nothing was changed"
            ) from error

    def get(self, address: str) -> Entry | None:
        """The entry of one function, None if it was not taken. HostError if it makes no sense."""
        import json

        path = self._path(address)
        try:
            with open(path, encoding="utf-8") as file:
                body: Any = json.load(file)
            if body["version"] != VERSION:
                raise ValueError(body["version"])
            words = [str(body[key]) for key in ("driver", "driver_override")]
            taker = body.get("taker")
            if not isinstance(taker, int | None):
                raise ValueError(taker)
            if any("/" in word or "\n" in word for word in words):
                raise ValueError(words)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise HostError(
                f"{path} does not tell what {address} was bound to; remove it, and bind the "
                f"function by hand ({type(error).__name__})"
            ) from error
        return Entry(address=address, driver=words[0], override=words[1], taker=taker)

    def remove(self, address: str) -> None:
        """Forgets one function, also one that has no entry. HostError if that cannot be."""
        path = self._path(address)
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise HostError(
                f"{address} was given back, and removing its record failed: {error.strerror}; "
                f"remove it with `sudo rm {path}`"
            ) from error
