"""The pytest plugin `vmm.vfio.fixture`, as another project uses it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "vmm.vfio.fixture")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "which PCI function? say --vfio-device ADDRESS"),
        (["--vfio-device", "ffff:ff:1f.7"], "There is no PCI function ffff:ff:1f.7"),
    ],
)
def test_what_is_missing_is_told(tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(vfio_device): pass\n")

    done = subprocess.run(
        [*PYTEST, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert said in done.stdout
