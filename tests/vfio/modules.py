"""VFIO's modules of the lab's kernel, built with what Debian leaves out: iommufd, device nodes.

Only these modules change their layout with it, so the kernel stays as it is. The sources are the
distribution's, unpacked and built once in the cache; in the lab the stock modules make way for them
and come back afterwards.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vmm.host import apt
from vmm.lab.kernel import kernel

BUILT = ("iommufd/iommufd", "vfio/vfio", "vfio/vfio_iommu_type1", "vfio/pci/vfio-pci-core",
         "vfio/pci/vfio-pci")  # fmt: skip
STOCK = ("vfio_pci", "vfio_iommu_type1")
LOADED = ("vfio_pci", "vfio_pci_core", "vfio_iommu_type1", "vfio", "iommufd")
PARTS = ("drivers/iommu", "drivers/vfio", "lib/interval_tree.c")
OPTIONS = {"IOMMUFD": "m", "VFIO_DEVICE_CDEV": "y", "IOMMUFD_DRIVER": "y",
           "INTERVAL_TREE_SPAN_ITER": "y"}  # fmt: skip
WITHOUT = ("DEBUG_INFO_BTF", "DEBUG_INFO_BTF_MODULES")
WANTED = ("linux-headers-", "linux-kbuild-", "linux-source-")
# Half of a file that the stock kernel has without this half.
SPAN = re.compile(r"#ifdef CONFIG_INTERVAL_TREE_SPAN_ITER\n.*?#endif\n", re.DOTALL)
INCLUDES = "".join(f"#include <linux/{name}.h>\n" for name in ("interval_tree", "export", "module"))


def modules() -> Path:
    """The folder with what BUILT names, made if there is none: not in the lab, where it is slow."""
    version = kernel().version
    packages = (f"linux-headers-{version}", f"linux-source-{'.'.join(version.split('.')[:2])}")
    return apt.unpacked("vfio-modules", packages, _wanted, _finish) / "modules"


def _wanted(deb: apt.Deb) -> bool:
    return deb.name.startswith(WANTED)


def _finish(root: Path) -> None:
    place = root / "modules"
    place.mkdir()
    (archive,) = (root / "usr/src").glob("linux-source-*.tar.xz")
    top = archive.name.removesuffix(".tar.xz")
    _run("tar", "-xJf", str(archive), "-C", str(root), *(f"{top}/{part}" for part in PARTS))
    archive.unlink()
    _arrange(root / top, place)
    headers = root / "usr/src" / f"linux-headers-{kernel().version}"
    makefile = headers / "Makefile"
    makefile.write_text(makefile.read_text().replace("/usr/src", str(root / "usr/src")))
    words = [f"CONFIG_{name}={value}" for name, value in OPTIONS.items()]
    words += [f"CONFIG_{name}=" for name in WITHOUT]
    defines = [f"-DCONFIG_{n}{'_MODULE' if v == 'm' else ''}=1" for n, v in OPTIONS.items()]
    _run("make", "-s", "-C", str(headers), f"M={place}", *words, f"KCFLAGS={' '.join(defines)} -g0",
         "modules")  # fmt: skip


def _arrange(source: Path, place: Path) -> None:
    """The folders as modules of their own, without drivers for other hardware and self-tests."""
    for folder in ("drivers/iommu/iommufd", "drivers/vfio"):
        (source / folder).rename(place / Path(folder).name)
    for header in (source / "drivers/iommu").glob("*.h"):
        header.rename(place / header.name)
    found = SPAN.search((source / "lib/interval_tree.c").read_text())
    assert found is not None
    (place / "iommufd/span.c").write_text(INCLUDES + found[0])
    (place / "Kbuild").write_text("obj-m += iommufd/ vfio/\n")
    objects = "device fault hw_pagetable io_pagetable ioas main pages vfio_compat iova_bitmap span"
    (place / "iommufd/Makefile").write_text(
        f"obj-m += iommufd.o\niommufd-y := {' '.join(f'{name}.o' for name in objects.split())}\n"
    )
    _keep(place / "vfio/Makefile", "/$", ("pci/",))
    _keep(place / "vfio/pci/Makefile", "/$", ())


def _keep(makefile: Path, end: str, folders: tuple[str, ...]) -> None:
    """Leaves subfolders out but for these."""
    lines = makefile.read_text().splitlines()
    kept = [line for line in lines if not re.search(end, line) or line.endswith(folders)]
    makefile.write_text("\n".join(kept) + "\n")


@contextmanager
def newer_interface() -> Iterator[None]:
    """In the lab: the host has /dev/iommu and a node for each function meanwhile."""
    place = modules()
    _run("rmmod", *(name for name in LOADED if os.path.isdir(f"/sys/module/{name}")))
    try:
        for name in BUILT:
            _run("insmod", str(place / f"{name}.ko"))
        yield
    finally:
        _run("rmmod", *(name for name in LOADED if os.path.isdir(f"/sys/module/{name}")))
        for name in STOCK:
            _run("modprobe", name)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
