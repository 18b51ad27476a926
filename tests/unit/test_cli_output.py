"""Where a command's output goes when it has nowhere to go."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vmm.errors import EXIT_HOST, EXIT_OK

COMMANDS = ("--help", "--version", "vfio list")


def vmm(command: str, redirection: str) -> subprocess.CompletedProcess[str]:
    line = f'exec "$0" -m vmm {command} {redirection}'
    return subprocess.run(
        ["sh", "-c", line, sys.executable], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_full_disk_is_one_sentence(command: str) -> None:
    done = vmm(command, ">/dev/full")
    assert done.returncode == EXIT_HOST
    assert done.stderr.startswith("vmm: writing failed: No space left on device; ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_closed_output_is_nobody_who_reads(command: str) -> None:
    done = vmm(command, ">&-")
    assert (done.returncode, done.stderr) == (EXIT_OK, "")
