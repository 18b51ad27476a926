"""The other end of a control socket, for commands that talk to a running machine."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from vmm.errors import ConfigError, HostError, StateError

LINE_MAX = 16 << 20  # bytes of one answer


class ControlClient:
    """Connected to the machine whose --state-dir is `folder`. HostError if that cannot be."""

    def __init__(self, folder: str) -> None:
        path = os.path.join(folder, "control.sock")
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise HostError(
                f"cannot connect to {path}: {error.strerror}; "
                "give the --state-dir of a machine that runs"
            ) from error
        self._lines = self._socket.makefile("rb")
        self._events: list[dict[str, Any]] = []
        try:
            greeting = self._line()
            if "error" in greeting:
                raise HostError(f"the machine does not talk to us: {greeting['error']['desc']}")
            self.execute("qmp_capabilities")
        except BaseException:
            self.close()
            raise

    def _line(self) -> dict[str, Any]:
        line = self._lines.readline(LINE_MAX)
        if not line.endswith(b"\n"):
            raise HostError("the machine has ended")
        message: dict[str, Any] = json.loads(line)
        return message

    def execute(self, name: str, **arguments: object) -> Any:
        """What the command returns. StateError with its sentence if it fails."""
        message = json.dumps({"execute": name, "arguments": arguments})
        try:
            self._socket.sendall(message.encode() + b"\n")
        except OSError:
            raise HostError("the machine has ended") from None
        while "event" in (answer := self._line()):
            self._events.append(answer)
        if "error" in answer:
            raise StateError(answer["error"]["desc"])
        return answer["return"]

    def events(self) -> Iterator[dict[str, Any]]:
        """Those that came meanwhile, then those that come. Ends with the machine."""
        while True:
            while self._events:
                yield self._events.pop(0)
            try:
                self._events.append(self._line())
            except HostError:
                return

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


def connect(options: Mapping[str, Any]) -> ControlClient:
    """To the machine of a command's --state-dir. ConfigError if there is none."""
    if not options.get("state_dir"):
        raise ConfigError("say which machine: --state-dir DIR, the directory it was started with")
    return ControlClient(options["state_dir"])
