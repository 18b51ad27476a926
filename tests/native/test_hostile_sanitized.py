"""Everything hostile that Python does to the core, once more with the core under the sanitizers."""

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
INCLUDES = [f"-I{sanitize.CORE.parent}", f"-I{sanitize.CORE}"]
EMIT = "import sys; from cffi_build.build import ffibuilder; ffibuilder.emit_c_code(sys.argv[1])"
# Whose `vmm` is ours before anything else is imported.
RUN = "import sys, pytest, vmm._native; assert vmm._native.__file__ == sys.argv[1]; \
sys.exit(pytest.main(sys.argv[2:]))"
HOSTILE = (
    "vq", "vq_hostile", "vcon_hostile", "vcon_messages", "vnet_hostile", "blk_refused",
    "blk_segments", "virtio_queues", "virtio_status", "virtio_pci", "virtio_window",
    "virtio_interrupts", "virtio_legacy", "pci_bars", "pci_config", "msix", "msix_capability",
)  # fmt: skip


def extension(folder: Path) -> Path:
    """`vmm._native` with sanitizers in it; objects of earlier times are used again."""
    glue = folder / "_native.c"
    subprocess.run([sys.executable, "-c", EMIT, str(glue)], cwd=sanitize.TOP, check=True)
    headers = (*sanitize.CORE.glob("*.h"), *sanitize.CORE.parent.glob("*.h"))
    python = f"-I{sysconfig.get_path('include')}"
    define, link = (["-DVMM_LIBURING=1"], ["-l:liburing.a"]) if has_liburing() else ([], [])
    parts = []
    for source in (glue, *sorted(sanitize.CORE.glob("*.c"))):
        name = f"extension-{source.stem}.o"
        words = [*FLAGS, *define, *INCLUDES, python, "-c", source.name]
        parts.append(sanitize.made(name, words, (source, *sorted(headers)), source.parent))
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


def test_hostile_drivers_leave_the_sanitizers_silent(tmp_path: Path) -> None:
    library = overlay(tmp_path)
    environment = os.environ | {
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": f"{tmp_path}:{sanitize.TOP}",
        "LD_PRELOAD": f"{runtime('libasan')} {runtime('libubsan')}",
        "ASAN_OPTIONS": f"detect_leaks=0:exitcode={sanitize.REPORT}",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    tests = [f"tests/native/test_{name}.py" for name in HOSTILE]
    options = ["-q", "-x", "-p", "no:cacheprovider", "--import-mode=append"]

    with TemporaryDirectory() as short:  # sockets have short names
        base = ["--basetemp", f"{short}/t"]
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(library), *options, *base, *tests],
            cwd=sanitize.TOP, env=environment,
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[:6000]
