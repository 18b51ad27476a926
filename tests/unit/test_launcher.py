"""The command as it is installed: vmm/bin/vmm beside a Python, with packages of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"


class Installed:
    """An environment at `folder` with the launcher and an empty site-packages."""

    def __init__(self, folder: Path) -> None:
        self.packages = folder / "lib" / VERSION / "site-packages"
        self.packages.mkdir(parents=True)
        self.command = folder / "bin" / "vmm"
        self.command.parent.mkdir()
        shutil.copy(TOP / "vmm/bin/vmm", self.command)
        self.command.chmod(0o755)
        python = self.command.with_name("python3")
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)

    def package(self, text: str, main: str = "def command(): pass\n") -> None:
        """A package `vmm` of this content."""
        (self.packages / "vmm").mkdir()
        (self.packages / "vmm/__init__.py").write_text(text)
        (self.packages / "vmm/__main__.py").write_text(main)

    def run(self, *argv: str, command: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [command or self.command, *argv], capture_output=True, text=True, check=False
        )


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    return Installed(tmp_path / "installed")


def test_it_runs_the_package_beside_it(installed: Installed) -> None:
    installed.package("", "import sys\ndef command():\n    print(sys.argv[1:])\n    sys.exit(7)\n")

    done = installed.run("a b", "-c")

    assert (done.returncode, done.stdout, done.stderr) == (7, "['a b', '-c']\n", "")


def test_it_is_found_through_a_link(installed: Installed, tmp_path: Path) -> None:
    installed.package("")
    os.symlink(installed.command, tmp_path / "link")

    assert installed.run(command=tmp_path / "link").returncode == 0


def test_it_finds_an_editable_package(installed: Installed) -> None:
    (installed.packages / "__editable__.vmm-0.1.pth").write_text(f"{TOP}\n")

    assert installed.run("boot").stderr.startswith("vmm: nothing to boot")


@pytest.mark.parametrize(("ignored", "code"), [(False, -signal.SIGINT), (True, 0)])
def test_an_interrupt_while_modules_are_read_shows_no_traceback(
    installed: Installed, ignored: bool, code: int
) -> None:
    installed.package("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        done = installed.run()
    finally:
        signal.signal(signal.SIGINT, before)

    assert (done.returncode, done.stderr) == (code, "")


def test_an_interrupt_later_is_told(installed: Installed) -> None:
    (installed.packages / "__editable__.vmm-0.1.pth").write_text(f"{TOP}\n")
    fifo = installed.packages / "kernel.toml"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [installed.command, "boot", "--config", fifo], stderr=subprocess.PIPE, text=True
    )
    with fifo.open("w"):  # the command reads its configuration and waits for more
        process.send_signal(signal.SIGINT)
        _out, said = process.communicate(timeout=60)

    assert (process.returncode, said) == (130, "vmm: interrupted\n")
