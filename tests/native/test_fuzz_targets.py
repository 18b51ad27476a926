"""The targets of `make fuzz` on random inputs of a fixed seed: no clang needed, same promises."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.fuzz import __main__ as fuzz
from tests.native import sanitize


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_target_keeps_its_promises_on_random_inputs(target: str, tmp_path: Path) -> None:
    binary = tmp_path / target
    sources = [fuzz.HERE / f"{target}.c", fuzz.HERE / "replay.c"]
    sources += [fuzz.CORE / unit for unit in fuzz.TARGETS[target]]
    folders = [f"-I{folder}" for folder in (fuzz.CORE, fuzz.CORE.parent, fuzz.HERE)]
    command = ["gcc", *fuzz.FLAGS, sanitize.SANITIZERS["address"], "-fno-sanitize-recover=all"]
    subprocess.run(
        [*command, *folders, *map(str, sources), "-lpthread", "-o", str(binary)], check=True
    )

    done = subprocess.run([str(binary)], capture_output=True, text=True, check=False, timeout=300)

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(" bytes\n")


def test_every_target_has_its_program() -> None:
    programs = {path.stem for path in fuzz.HERE.glob("*.c")} - {"replay"}

    assert programs == set(fuzz.TARGETS)
