"""Debian's newest backported kernel: image, modules and headers, all of one version.

The same image is the lab's own kernel (L1) and the stock guest that `vmm boot` starts. Modules are
found through modules.dep, which this module reads itself. The release's own kernel, which is older,
is a guest of tests.
"""

from __future__ import annotations

import lzma
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from vmm.errors import HostError
from vmm.host import apt
from vmm.lab.mend import mend
from vmm.record import Record

TOOLS = ("qemu-system-x86", "busybox-static", "kmod", "zstd")
KERNEL = ("linux-image-amd64", "linux-libc-dev")
OLDER = (f"linux-image-amd64/{apt.RELEASE}", "linux-libc-dev")
SETUP_HEADER_END = 0x250  # the header's fields up to payload_length
MODULE_MAX = 64 << 20  # bytes of one unpacked module; the largest real one is below 10 MiB
SIGNATURE = b"~Module signature appended~\n"
SIGNATURE_INFO = (
    12  # struct module_signature: id_type, lengths, be32 sig_len in the last four bytes
)


class Kernel(Record):
    """One unpacked kernel. `image` is the bzImage, `vmlinux` the ELF file inside it.

    `modules` is its lib/modules/VERSION; `headers` holds linux/, asm/ and asm-generic/.
    """

    version: str
    image: Path
    vmlinux: Path
    modules: Path
    headers: Path


def tools() -> apt.Root:
    """QEMU, busybox and kmod with every library they need."""
    return apt.Root(path=apt.unpacked("lab-tools", TOOLS, finish=mend))


def kernel() -> Kernel:
    """The kernel in the cache, fetched if there is none."""
    return _fetched("kernel", KERNEL)


def older_kernel() -> Kernel:
    """The same of the release itself, without backports: 70 MB more."""
    return _fetched("older-kernel", OLDER)


def _fetched(name: str, packages: Sequence[str]) -> Kernel:
    helpers = tools()  # before, because the cache's lock is not held twice

    def finish(path: Path) -> None:
        _depmod(helpers, path)
        _extract(helpers, path)
        (path / "usr/include/asm").symlink_to("x86_64-linux-gnu/asm")

    root = apt.unpacked(name, packages, wanted=_of_kernel, finish=finish)
    images = sorted((root / "boot").glob("vmlinuz-*"))
    if len(images) != 1:
        raise HostError(
            f"{root} holds {len(images)} kernels instead of one; remove it and try again"
        )
    version = images[0].name.removeprefix("vmlinuz-")
    return Kernel(
        version=version,
        image=images[0],
        vmlinux=root / "boot/vmlinux",
        modules=root / "lib/modules" / version,
        headers=root / "usr/include",
    )


def _of_kernel(deb: apt.Deb) -> bool:
    return deb.name.startswith(("linux-image-6", "linux-image-7", "linux-libc-dev"))


def _depmod(kmod: apt.Root, root: Path) -> None:
    """The package's installation script would do this; modules.dep does not come in the package."""
    version = next((root / "lib/modules").iterdir()).name
    command = kmod.command("sbin/depmod", "-b", str(root), version)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HostError(f"cannot index the modules of {version}: depmod said {done.stderr.strip()}")


def payload(image: bytes) -> bytes:
    """The compressed kernel inside a bzImage (Linux x86 boot protocol, payload_offset and _length).

    The four bytes at its end, the unpacked size, are left out. HostError if the header is not
    sound.
    """
    if len(image) < SETUP_HEADER_END or image[0x202:0x206] != b"HdrS":
        raise HostError("the package's kernel is not a bzImage")
    start = ((image[0x1F1] or 4) + 1) * 512 + int.from_bytes(image[0x248:0x24C], "little")
    length = int.from_bytes(image[0x24C:0x250], "little")
    if length <= 4 or start + length > len(image):
        raise HostError("the package's kernel says its payload lies outside the file")
    return image[start : start + length - 4]


def _extract(zstd: apt.Root, root: Path) -> None:
    """Unpacks boot/vmlinux once: an emulated CPU would need seconds for it at each start."""
    image = next((root / "boot").glob("vmlinuz-*"))
    with (root / "boot/vmlinux").open("wb") as out:
        done = subprocess.run(
            zstd.command("usr/bin/zstd", "-dcq"),
            input=payload(image.read_bytes()),
            stdout=out,
            stderr=subprocess.PIPE,
            check=False,
        )
    if done.returncode != 0:
        raise HostError(
            f"cannot unpack {image.name}: {done.stderr.decode(errors='replace').strip()}"
        )


def parse_dep(text: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """modules.dep(5): module name -> (its path, the paths it needs, in the order the file has
    them).

    Names are written with underscores, as the kernel does.
    """
    table = {}
    for line in text.splitlines():
        path, colon, needs = line.partition(":")
        if colon:
            table[module_name(path)] = (path, tuple(needs.split()))
    return table


def module_name(path: str) -> str:
    """`kernel/fs/9p/9p.ko.xz` -> `9p`; dashes become underscores."""
    return path.rpartition("/")[2].partition(".ko")[0].replace("-", "_")


def closure(table: dict[str, tuple[str, tuple[str, ...]]], names: Iterable[str]) -> list[str]:
    """Paths of `names` and all they need, each once, every module after the ones it needs.

    modules.dep lists a module's needs transitively with the deepest last, so reversed is load
    order. A name that is not in the table is built into the kernel or unknown: KeyError.
    """
    order: dict[str, None] = {}
    for name in names:
        path, needs = table[name.replace("-", "_")]
        for needed in (*reversed(needs), path):
            order.setdefault(needed)
    return list(order)


def builtin(text: str) -> set[str]:
    """Names listed in modules.builtin."""
    return {module_name(line) for line in text.split()}


def load_order(found: Kernel, names: Sequence[str]) -> list[str]:
    """`closure` for this kernel; built-in names are left out, unknown ones are a HostError."""
    table = parse_dep((found.modules / "modules.dep").read_text())
    inside = builtin((found.modules / "modules.builtin").read_text())
    absent = [name for name in names if name.replace("-", "_") not in table]
    unknown = [name for name in absent if name.replace("-", "_") not in inside]
    if unknown:
        raise HostError(f"kernel {found.version} has no module {', '.join(unknown)}")
    return closure(table, [name for name in names if name not in absent])


def module_bytes(path: Path) -> bytes:
    """The module as the kernel loads it: unpacked, without its signature.

    Verifying a signature costs an emulated CPU tens of milliseconds for each module, and the lab
    trusts the package it was unpacked from.
    """
    data = path.read_bytes()
    if path.suffix == ".xz":
        data = lzma.LZMADecompressor(memlimit=1 << 30).decompress(data, MODULE_MAX)
    elif path.suffix != ".ko":
        raise HostError(f"cannot unpack {path}: unknown compression")
    return strip_signature(data)


def strip_signature(data: bytes) -> bytes:
    """Cuts struct module_signature and the signature before it off the end, if they are there."""
    if not data.endswith(SIGNATURE):
        return data
    body = len(data) - len(SIGNATURE)
    length = int.from_bytes(data[body - 4 : body], "big")
    start = body - SIGNATURE_INFO - length
    return data[:start] if start > 0 else data
