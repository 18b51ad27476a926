"""The targets of `make fuzz` on random inputs of a fixed seed: no clang needed, same promises."""

from __future__ import annotations

import subprocess

import pytest

from tests.fuzz import __main__ as fuzz
from tests.native import sanitize


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_target_keeps_its_promises_on_random_inputs(target: str) -> None:
    replay = fuzz.HERE / "replay.c"
    binary = sanitize.build(fuzz.HERE / f"{target}.c", fuzz.TARGETS[target], "address", replay)

    done = subprocess.run([str(binary)], capture_output=True, text=True, check=False, timeout=300)

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(" bytes\n")


def test_every_target_has_its_program() -> None:
    programs = {path.stem for path in fuzz.HERE.glob("*.c")} - {"replay"}

    assert programs == set(fuzz.TARGETS)
