"""Descriptors: the soft limit follows the need, the hard one is told of."""

from __future__ import annotations

import subprocess
import sys

import pytest

TAKE = """
import os
from vmm.errors import HostError
from vmm.host.limits import allow_descriptors
try:
    allow_descriptors(300, "a card")
    print("opened", len([os.eventfd(0) for _ in range(300)]))
except HostError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ("80:4096", "opened 300"),
        ("4096:4096", "opened 300"),
        ("80:200", "a card needs 300 descriptors, 3"),
    ],
)
def test_as_many_as_are_needed(limits: str, said: str) -> None:
    command = ["prlimit", f"--nofile={limits}", sys.executable, "-c", TAKE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(said)
    assert "200; sudo prlimit --pid $$ --nofile=" in done.stdout or "opened" in done.stdout
