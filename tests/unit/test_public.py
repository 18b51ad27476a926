"""The package's promise to its users: names, their price, and one place for the version."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import vmm

TOP = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", vmm.__all__)
def test_public_name_is_there_and_listed(name: str) -> None:
    assert getattr(vmm, name) is not None
    assert name in dir(vmm)


def test_other_names_are_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        vmm.Nothing  # noqa: B018


def test_public_errors_are_the_ones_raised_inside() -> None:
    with pytest.raises(vmm.ConfigError) as caught:
        vmm.VmConfig.of(kernel="k", cpus=0)

    assert isinstance(caught.value, vmm.VmmError)


def test_import_loads_nothing_else() -> None:
    probe = (
        f"import sys; before = set(sys.modules); sys.path.insert(0, {str(TOP)!r}); import vmm; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", probe], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["__future__", "vmm"]


def test_version_has_one_source() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())

    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "vmm.__version__"}
