"""`pip install .` from a clean copy of the tree, with the system's own kernel headers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import _cffi_backend
import pytest

import vmm

TOP = Path(__file__).resolve().parents[2]
BUILT = shutil.ignore_patterns(
    ".*", "build", "__pycache__", "*.so", "*.o", "*.egg-info", "_native.abi3*", "_native.c"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that pip builds; nothing of the tree's own build is there to help."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(TOP, folder / "tree", ignore=BUILT)
    environment = {key: text for key, text in os.environ.items() if key != "VMM_UAPI_INCLUDE"}
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "-q"]
    options = ["--no-build-isolation", "--no-deps", "-w", str(folder), str(folder / "tree")]
    subprocess.run([*command, *options], env=environment, check=True)
    (found,) = folder.glob("*.whl")
    return found


def test_wheel_is_for_every_python_from_3_11_on(wheel: Path) -> None:
    assert wheel.name == f"vmm-{vmm.__version__}-cp311-abi3-linux_x86_64.whl"


def test_wheel_has_what_is_not_python(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    for name in ("vmm/_native.abi3.so", "vmm/_native.pyi", "vmm/py.typed", "vmm/lab/init.sh"):
        assert name in names
    assert any(name.endswith("/share/man/man1/vmm.1") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "cffi_build/", "guests/"))]


def test_installed_package_works_by_itself(wheel: Path, tmp_path: Path) -> None:
    """Python sees the installed package, the standard library and cffi, not the tree."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    backend = Path(_cffi_backend.__file__).parent
    code = (
        f"import sys; sys.path += [{str(tmp_path)!r}, {str(backend)!r}]; import vmm.native; "
        "print(vmm.__file__, vmm.native.lib.KVM_GET_API_VERSION)"
    )

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == [str(tmp_path / "vmm/__init__.py"), str(0xAE00)]
