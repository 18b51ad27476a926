"""Copies what is measured to tmpfs and mounts the copies over the originals (in the lab).

The lab's root is the host's tree through 9p: its first use of a file is slow and every listing of a
folder asks the host again. Copies at the same paths take that out, and nothing measured knows.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks.guest import (
    DISK_DRIVERS,
    HOST_DISK_DRIVERS,
    NET_DRIVERS,
    PV_DRIVERS,
)
from tests.benchmarks.tools import TOP
from vmm.host.cache import cache_dir
from vmm.lab import guest
from vmm.lab.kernel import kernel, load_order, tools

PLACE = Path("/mnt/bench")
LIBRARY = Path(os.__file__).parent
NOT_IMPORTED = ("test", "idlelib", "ensurepip", "lib2to3", "tkinter", "turtledemo", "distutils")
PACKAGES = (
    "[!_]*.pth",
    "__editable__*",
    "_distutils_hack",
    "_cffi_backend*",
    "cffi",
    "vmm*",
    "zstandard",
)


def stage() -> None:
    """Copies and mounts everything. Root only; for a lab, which is thrown away afterwards."""
    PLACE.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "bench", str(PLACE))
    library = [
        p for p in LIBRARY.iterdir() if p.name not in NOT_IMPORTED and "config-" not in p.name
    ]
    _cover(LIBRARY, library)
    _cover(TOP, _own())
    _cover(cache_dir(), _cached())
    python = os.path.realpath(sys.executable)
    _copy([Path(python)])
    _run("mount", "--bind", f"{PLACE}{python}", python)


def _own() -> list[Path]:
    packages = Path(next(p for p in sys.path if p.endswith("site-packages")))
    environment = Path(sys.prefix)
    return [
        *(TOP / name for name in ("vmm", "tests/benchmarks", "tests/__init__.py", "guests/build")),
        *(environment / name for name in ("bin", "pyvenv.cfg")),
        *(path for pattern in PACKAGES for path in packages.glob(pattern)),
    ]


def _cached() -> list[Path]:
    root = tools().path
    kept = (
        "bin/busybox",
        "usr/bin/qemu-system-x86_64",
        "usr/lib/x86_64-linux-gnu",
        "lib",
        "lib64",
        "usr/share/qemu",
    )
    kernels = cache_dir() / "kernels"
    modules = kernel().modules
    wanted = (*DISK_DRIVERS, *HOST_DISK_DRIVERS, *NET_DRIVERS, *PV_DRIVERS)
    drivers = load_order(kernel(), wanted)
    return [
        *(root / name for name in (*kept, "usr/share/seabios", "usr/lib/ipxe/qemu")),
        *(modules / name for name in ("modules.dep", "modules.builtin", *drivers)),
        guest.guest_kernel(),
        *([kernels] if kernels.exists() else []),
        *cache_dir().glob("guest-*"),
    ]


def _cover(folder: Path, paths: Iterable[Path]) -> None:
    _copy([path for path in paths if path.exists()])
    _run("mount", "--bind", f"{PLACE}{folder}", str(folder))


def _copy(paths: list[Path]) -> None:
    names = [str(path.relative_to("/")) for path in paths]
    subprocess.run(["cp", "-a", "--parents", *names, str(PLACE)], cwd="/", check=True)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True)
