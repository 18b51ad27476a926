"""vmm/host/system-packages.sh with apt, dpkg-query and id played by the test."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "vmm/host/system-packages.sh"


class System:
    """A folder of programs that come first in PATH; apt-get writes down how it was called."""

    def __init__(self, folder: Path, *, installed: tuple[str, ...], uid: int, stale: bool = False):
        self.calls = folder / "calls"
        self.calls.write_text("")
        self.path = folder
        known = "|".join(installed) or "none-at-all"
        self._program("dpkg-query", f'case "$4" in {known}) echo installed;; *) exit 1;; esac')
        self._program("id", f"echo {uid}")
        fails = (
            f'[ "$1" = update ] || grep -q "^update" {self.calls} || result=100' if stale else ":"
        )
        self._program("apt-get", f'result=0; {fails}; echo "$@" >> {self.calls}; exit $result')

    def _program(self, name: str, body: str) -> None:
        path = self.path / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def run(self, *packages: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.path}:{os.environ['PATH']}"
        return subprocess.run(
            ["sh", str(SCRIPT), *packages],
            env={"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )


def test_nothing_missing_calls_nothing(tmp_path: Path) -> None:
    system = System(tmp_path, installed=("gcc", "make"), uid=1000)
    done = system.run("gcc", "make")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert system.calls.read_text() == ""


def test_without_root_one_sentence_names_what_is_missing(tmp_path: Path) -> None:
    system = System(tmp_path, installed=("make",), uid=1000)
    done = system.run("gcc", "make", "python3-venv")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "vmm: these system packages are missing, ask root to run: apt-get install gcc python3-venv"
    ]
    assert system.calls.read_text() == ""


def test_root_installs_only_what_is_missing_without_an_update(tmp_path: Path) -> None:
    system = System(tmp_path, installed=("make",), uid=0)
    assert system.run("gcc", "make").returncode == 0
    assert system.calls.read_text() == "install -y --no-install-recommends gcc\n"


def test_package_lists_are_read_only_when_installing_needs_it(tmp_path: Path) -> None:
    system = System(tmp_path, installed=(), uid=0, stale=True)
    assert system.run("gcc").returncode == 0
    words = [line.split()[0] for line in system.calls.read_text().splitlines()]
    assert words == ["install", "update", "install"]
