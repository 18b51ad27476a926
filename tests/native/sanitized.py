"""`vmm` with its core under the address and undefined-behaviour sanitizers, for whole tests."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory

from cffi_build.build import has_liburing
from tests.native import sanitize

FLAGS = ["-std=gnu11", "-O1", "-g", "-fPIC", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all"]
FLAGS += [sanitize.SANITIZERS["address"], "-Wall", "-Wno-unused-function"]
EMIT = "import sys; from cffi_build.build import ffibuilder; ffibuilder.emit_c_code(sys.argv[1])"
# Whose `vmm` is ours before anything else is imported.
RUN = "import sys, pytest, vmm._native; assert vmm._native.__file__ == sys.argv[1]; \
sys.exit(pytest.main(sys.argv[2:]))"


def extension(folder: Path) -> Path:
    """`vmm._native` with sanitizers in it; objects of earlier times are used again."""
    glue = folder / "_native.c"
    subprocess.run([sys.executable, "-c", EMIT, str(glue)], cwd=sanitize.TOP, check=True)
    python = f"-I{sysconfig.get_path('include')}"
    define, link = (["-DVMM_LIBURING=1"], ["-l:liburing.a"]) if has_liburing() else ([], [])
    parts = []
    for source in (glue, *sorted(sanitize.UNITS.values())):
        name = f"extension-{source.stem}.o"
        words = [*FLAGS, *define, *sanitize.INCLUDES, python, "-c", source.name]
        parts.append(sanitize.made(name, words, (source, *sorted(sanitize.HEADERS)), source.parent))
    library = folder / "_native.abi3.so"
    words = ["-shared", *FLAGS, *map(str, parts), *link, "-lpthread", "-o", str(library)]
    subprocess.run([sanitize.CC, *words], check=True)
    return library


def overlay(folder: Path) -> Path:
    """A package `vmm` that is ours but for its core, which is returned."""
    package = folder / "vmm"
    package.mkdir()
    for path in (sanitize.TOP / "vmm").iterdir():
        if path.suffix != ".so" and path.name != "__pycache__":
            (package / path.name).symlink_to(path)
    return extension(folder).rename(package / "_native.abi3.so")


def runtime(name: str) -> str:
    command = [sanitize.CC, f"-print-file-name={name}.so"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def complaints(folder: Path, *words: str, seconds: int = 600) -> str:
    """What pytest says of these tests with such a core, which is made in `folder`; "": all is well.

    A test fails with a sanitizer's report, which ends the process.
    """
    library = overlay(folder)
    environment = os.environ | {
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": f"{folder}:{sanitize.TOP}",
        "LD_PRELOAD": f"{runtime('libasan')} {runtime('libubsan')}",
        "ASAN_OPTIONS": f"detect_leaks=0:exitcode={sanitize.REPORT}",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    options = ["-q", "-x", "-p", "no:cacheprovider", "--import-mode=append"]
    with TemporaryDirectory() as short:  # sockets have short names
        base = ["--basetemp", f"{short}/t"]
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(library), *options, *base, *words],
            cwd=sanitize.TOP, env=environment,
            capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
    return done.stdout[-2000:] + done.stderr[:6000] if done.returncode else ""
