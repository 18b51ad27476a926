"""Builds vmm._native: the cdef topics joined in a fixed order, compiled with the C core.

Constants, sizes and offsets are `...` in the cdef, so the compiler fills them from the headers. Set
VMM_UAPI_INCLUDE to a directory that holds a newer `linux/` to build against it; what the headers of
Linux 6.1 lack stands in compat.h.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
CORE = HERE / "core"

# Order matters: a topic may use the types of those before it.
TOPICS = (
    "kvm",
    "xen",
    "vfio",
    "iommufd",
    "vhost",
    "core",
    "vq",
    "ram",
    "io",
    "acpi",
    "misc",
    "rtc",
    "irqchip",
    "legacy",
    "testdev",
    "pci",
    "msix",
    "vfiopci",
    "virtio",
    "vcon",
    "vblk",
    "vnet",
    "xendev",
    "xenus",
)

WARNINGS = ["-Wall", "-Wextra", "-Wno-unused-parameter"]


def cdef_source() -> str:
    """The whole declaration text, in order."""
    return "\n".join((HERE / "cdef" / f"{topic}.h").read_text() for topic in TOPICS)


def core_dirs() -> list[str]:
    """The core's folders, one for each subject. Files include one another by name alone."""
    return [str(CORE), *(str(path) for path in sorted(CORE.iterdir()) if path.is_dir())]


def include_dirs() -> list[str]:
    """Where headers come from, first match wins."""
    newer = os.environ.get("VMM_UAPI_INCLUDE")
    return [*([newer] if newer else []), str(HERE), *core_dirs()]


def sources() -> list[str]:
    """The core's C files, relative to the project's top as setuptools wants them."""
    top = HERE.parent
    return sorted(str(path.relative_to(top)) for path in CORE.rglob("*.c"))


def has_liburing() -> bool:
    """Whether liburing can be linked: its archive, so that there is nothing more to load."""
    words = [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-xc", "-", "-l:liburing.a", "-o"]
    done = subprocess.run(
        [*words, os.devnull], input=b"#include <liburing.h>\n", capture_output=True, check=False
    )
    return done.returncode == 0


def make_builder() -> FFI:
    uring = has_liburing()
    builder = FFI()
    builder.cdef(cdef_source())
    builder.set_source(
        "vmm._native",
        '#include "prelude.h"\n',
        sources=sources(),
        include_dirs=include_dirs(),
        depends=[str(path) for path in sorted([*HERE.glob("*.h"), *CORE.rglob("*.h")])],
        extra_compile_args=["-std=gnu11", "-O2", "-flto", "-fvisibility=hidden", *WARNINGS],
        define_macros=[("VMM_LIBURING", "1")] if uring else [],
        extra_link_args=["-flto", "-O2", *(["-l:liburing.a"] if uring else [])],
        libraries=["pthread"],
    )
    return builder


ffibuilder = make_builder()

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
