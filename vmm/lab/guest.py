"""The stock guest: Debian's kernel image and a busybox initramfs, what `make boot` and tests start.

guest_init.sh is its first process and says what the kernel command line can ask of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from vmm.host import cache
from vmm.lab import initramfs
from vmm.lab.initramfs import Entry
from vmm.lab.kernel import Kernel, kernel, load_order, module_bytes, module_name, tools

INIT = Path(__file__).with_name("guest_init.sh")
FOLDERS = ("dev", "proc", "sys", "tmp")


def guest_kernel() -> Path:
    """The stock bzImage, fetched into the cache if it is not there."""
    return kernel().image


def guest_vmlinux() -> Path:
    """The same kernel as an uncompressed ELF file."""
    return kernel().vmlinux


def guest_modules(names: Sequence[str], of: Kernel | None = None) -> list[Entry]:
    """Members that make the guest load these modules, with all they need, at start.

    of: which kernel's; by default the stock guest's.
    """
    found = of or kernel()
    paths = load_order(found, names)
    files = [f"{module_name(path)}.ko" for path in paths]
    members = [initramfs.file("modules/order", "".join(f"{name}\n" for name in files).encode())]
    for path, name in zip(paths, files, strict=True):
        members.append(initramfs.file(f"modules/{name}", module_bytes(found.modules / path)))
    return members


def build_initramfs(extra: Sequence[Entry] = ()) -> bytes:
    """The guest's initramfs, uncompressed; `extra` comes last and may replace /init."""
    members = [
        initramfs.character_device("dev/console", 5, 1),
        *(initramfs.directory(name) for name in FOLDERS),
        initramfs.file("bin/busybox", (tools().path / "bin/busybox").read_bytes(), 0o755),
        initramfs.link("bin/sh", "busybox"),
    ]
    if not any(entry.name.strip("/") == "init" for entry in extra):
        members.append(initramfs.file("init", INIT.read_bytes(), 0o755))
    return initramfs.pack((*members, *extra))


def guest_initramfs(extra: Sequence[Entry] = ()) -> Path:
    """`build_initramfs` as a file in the cache, named by its contents."""
    data = build_initramfs(extra)
    name = f"guest-{hashlib.sha256(data).hexdigest()[:12]}"

    def fill(path: Path) -> None:
        (path / "initramfs").write_bytes(data)

    return cache.entry(name, fill) / "initramfs"
