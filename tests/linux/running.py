"""A stock kernel as a guest that goes on running, asked over its control socket."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.linux.stock import TIMEOUT, initrd_with, words
from vmm.errors import EXIT_SIGNAL
from vmm.lab.guest import guest_kernel, guest_modules


class Running:
    """A `vmm boot` in the background: its console as a file, its control socket, its end."""

    def __init__(self, folder: Path, script: str, options: Sequence[str], modules: Sequence[str]):
        extra = guest_modules(modules) if modules else ()
        initrd = initrd_with(folder, script, extra)
        self.console, self.state = folder / "console", folder / "state"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "vmm", "boot", "--kernel", str(guest_kernel())),
                *("--initrd", str(initrd), "--append", words(script, "quiet")),
                *("--console", f"file:{self.console}", "--state-dir", str(self.state)),
                *("--timeout", str(2 * TIMEOUT), *options),
            ],
            stdin=subprocess.DEVNULL,
        )

    def text(self) -> str:
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def wait_for(self, line: str, times: int = 1) -> None:
        give_up = time.monotonic() + TIMEOUT
        while self.text().count(line) < times:
            assert time.monotonic() < give_up, f"no {line!r} on the console:\n{self.text()[-2000:]}"
            assert self.process.poll() is None, f"ended early:\n{self.text()[-2000:]}"
            time.sleep(0.05)

    def ask(self, *verbs: str | tuple[str, dict[str, object]]) -> list[Any]:
        """Runs verbs over the control socket, alone or with arguments; one answer each."""
        answers = []
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(self.state / "control.sock"))
            stream = peer.makefile("rw", encoding="utf-8")
            stream.readline()  # the greeting
            for verb in ("qmp_capabilities", *verbs):
                name, arguments = (verb, {}) if isinstance(verb, str) else verb
                stream.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
                stream.flush()
                answer = json.loads(stream.readline())
                while "event" in answer:
                    answer = json.loads(stream.readline())
                answers.append(answer["return"])
        return answers[1:]

    def reboots_and_ends(self) -> None:
        """Its script reboots; the machine that comes back is told to end."""
        self.wait_for("guest ready", times=2)
        (info,) = self.ask("info")
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(TIMEOUT) == EXIT_SIGNAL
        assert info["resets"] >= 1


@contextmanager
def running(
    folder: Path, script: str, options: Sequence[str] = (), modules: Sequence[str] = ()
) -> Iterator[Running]:
    guest = Running(folder, script, options, modules)
    try:
        yield guest
    finally:
        if guest.process.poll() is None:
            guest.process.kill()
        guest.process.wait()
